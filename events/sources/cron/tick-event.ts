import type { CloudEvent } from "../../codec/cloud-event.ts";
import type { CronSettings } from "../../cron/cron-settings.ts";
import type { Tick } from "../../cron/due-ticks.ts";

const TICK_TYPE = "com.faaslane.cron.tick";

/** The event of a tick: who finds it due again makes the same. */
export function tickEvent(source: string, { id, plannedAt }: Tick, { body, contentType }: CronSettings): CloudEvent {
  return {
    attributes: {
      specversion: "1.0",
      id,
      source,
      type: TICK_TYPE,
      time: new Date(plannedAt).toISOString(),
      ...(contentType !== undefined && { datacontenttype: contentType }),
    },
    ...(body !== undefined && { data: Buffer.from(body) }),
  };
}
