import { sleep } from "../../../kit/sleep.ts";
import type { CronSettings } from "../../cron/cron-settings.ts";
import type { Tick } from "../../cron/due-ticks.ts";
import type { SourceContext, SourceEvent } from "../source.ts";
import { ClockFollower } from "./clock-follower.ts";

/** The clock is looked at as often, as it may be set. */
const LONGEST_SLEEP_MS = 15_000;
/** Pauses while ticks cannot be stored. */
const [MIN_RETRY_MS, MAX_RETRY_MS] = [500, 15_000];

/** Emits ticks until it is stopped. One that cannot be stored is tried again, however late it becomes. */
export async function followClock(
  settings: CronSettings,
  context: SourceContext,
  eventOf: (tick: Tick) => SourceEvent,
): Promise<void> {
  const follower = new ClockFollower(settings, context, eventOf);
  let retryMs = MIN_RETRY_MS;
  while (!context.signal.aborted) {
    let waitMs = LONGEST_SLEEP_MS;
    try {
      const next = await follower.step();
      context.connected();
      retryMs = MIN_RETRY_MS;
      if (next !== undefined) waitMs = Math.min(waitMs, Math.max(next - context.now(), 1));
    } catch (error) {
      context.lost(error);
      waitMs = retryMs;
      retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
    }
    await sleep(waitMs, context.signal);
  }
}

/** Times that pass while a source is suspended are not made up for: it begins anew. */
export async function forgetProgress({ cursor }: Pick<SourceContext, "cursor">): Promise<void> {
  if ((await cursor.load()) !== undefined) await cursor.save("");
}
