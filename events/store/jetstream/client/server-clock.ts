import type { Link } from "../../../../gateway/nats/connection.ts";
import { steadyNow } from "../../../../kit/steady-clock.ts";
import { EVENT_STREAMS } from "./names.ts";

const MEASURE_EVERY_MS = 30_000;
/** Less is how clocks that agree differ between two looks at them. */
const LEAST_MS = 500;

/** By how much the clock of the server, whose schedules go by it, is ahead of this machine's. */
export class ServerClock {
  readonly #link: Link;
  /** Of the one of this machine that nobody sets: the other may have been set since. */
  #aheadMs = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;

  constructor(link: Link) {
    this.#link = link;
  }

  /** A time of this machine, as the server has it. */
  toServer(time: number): number {
    const aheadMs = this.#aheadMs + steadyNow() - Date.now();
    return Math.abs(aheadMs) < LEAST_MS ? time : time + Math.round(aheadMs);
  }

  /** Once in a while; leaves it as it is while there is no answer. */
  async measure(): Promise<void> {
    if (performance.now() - this.#measuredAt < MEASURE_EVERY_MS) return;
    const sentAt = steadyNow();
    const { ts } = await this.#link.api<{ ts?: string }>(`STREAM.INFO.${EVENT_STREAMS.resources}`);
    this.#aheadMs = ts === undefined ? 0 : Date.parse(ts) - (sentAt + steadyNow()) / 2;
    this.#measuredAt = performance.now();
  }
}
