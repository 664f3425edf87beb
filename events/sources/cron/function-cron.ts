import { z } from "zod";
import { FaasError } from "../../../contract/errors.ts";
import { CRON_TOPIC, type CronSettings, readCronSettings } from "../../cron/cron-settings.ts";
import type { SourceType } from "../source.ts";
import { followClock, forgetProgress } from "./follow-clock.ts";
import { tickEvent } from "./tick-event.ts";

const settings = z.record(z.string(), z.string()).transform((annotations, context): CronSettings => {
  try {
    return readCronSettings(annotations);
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    context.addIssue(error.message);
    return z.NEVER;
  }
});

/** As OpenFaaS's connector for cron sends them. */
const HEADERS = [
  ["X-Topic", CRON_TOPIC],
  ["X-Connector", "cron-connector"],
] as const;

/** Calls one function when its annotations say so. It is no other's business: the tick goes to this function alone. */
export const functionCron: SourceType<CronSettings> = {
  type: "cron-function",
  settings,
  suspended: (_settings, context) => forgetProgress(context),
  run: async (cron, context) => {
    const { namespace, name } = context;
    const delivery = {
      trigger: `function/${namespace}/${name}`,
      ...(cron.overlap === "queue" && { orderKey: CRON_TOPIC }),
    };
    await followClock(cron, context, (tick) => ({
      event: tickEvent(`/cron/${namespace}/${name}`, tick, cron),
      topic: CRON_TOPIC,
      headers: [...HEADERS, ...(cron.headers ?? [])],
      once: tick.id,
      directed: [delivery],
    }));
  },
};
