import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { FaasError } from "../../../contract/errors.ts";
import { type CronSettings, parseCronSettings } from "../../cron/cron-settings.ts";
import type { SourceType } from "../source.ts";
import { followClock, forgetProgress } from "./follow-clock.ts";
import { tickEvent } from "./tick-event.ts";

const text = z.string();
const MAX_TOPIC_CHARS = 256;

const declared = z.strictObject({
  schedule: z.union([text, z.array(text)], { error: "is required: a schedule such as 0 2 * * *, or a list of them" }),
  timezone: maybe(text),
  /** A text as it is; anything else as JSON. */
  data: z.unknown().optional(),
  contentType: maybe(text),
  jitter: maybe(text),
  overlap: maybe(text),
  catchUp: maybe(text),
  topic: maybe(text.min(1).max(MAX_TOPIC_CHARS)),
});

interface DeclaredCron {
  readonly cron: CronSettings;
  readonly topic: string | undefined;
}

const settings = declared.transform(({ schedule, data, topic, contentType, ...written }, context): DeclaredCron => {
  const isText = data === undefined || data === null || typeof data === "string";
  try {
    const cron = parseCronSettings(
      {
        ...written,
        schedule: Array.isArray(schedule) ? schedule.join(";") : schedule,
        body: isText ? (data ?? undefined) : JSON.stringify(data),
        contentType: contentType ?? (isText ? undefined : "application/json"),
      },
      { body: "data" },
    );
    return { cron, topic };
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    context.addIssue(error.message);
    return z.NEVER;
  }
});

/** `cron`: an event each time that a schedule is due. */
export const cronSource: SourceType<DeclaredCron> = {
  type: "cron",
  settings,
  suspended: (_settings, context) => forgetProgress(context),
  run: async ({ cron, topic }, context) => {
    const { namespace, name } = context;
    const source = `/sources/${namespace}/${name}`;
    await followClock(cron, context, (tick) => {
      const { attributes, data } = tickEvent(source, tick, cron);
      // Who asks for the order of a key gets one after another.
      const keyed = cron.overlap === "queue" ? { ...attributes, partitionkey: name } : attributes;
      return {
        event: { attributes: keyed, ...(data && { data }) },
        once: tick.id,
        ...(topic !== undefined && { topic }),
      };
    });
  },
};
