import type { Link } from "../../../../gateway/nats/connection.ts";
import { EVENT_STREAMS } from "./names.ts";

const MEASURE_EVERY_MS = 30_000;
/** Less is how clocks that agree differ between two looks at them. */
const LEAST_MS = 500;

/** By how much the clock of the server, whose schedules go by it, is ahead of this machine's. */
export class ServerClock {
  readonly #link: Link;
  #aheadMs = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;

  constructor(link: Link) {
    this.#link = link;
  }

  /** A time of this machine, as the server has it. */
  toServer(time: number): number {
    return time + this.#aheadMs;
  }

  /** Once in a while; leaves it as it is while there is no answer. */
  async measure(): Promise<void> {
    if (performance.now() - this.#measuredAt < MEASURE_EVERY_MS) return;
    const sentAt = Date.now();
    const { ts } = await this.#link.api<{ ts?: string }>(`STREAM.INFO.${EVENT_STREAMS.resources}`);
    const aheadMs = ts === undefined ? 0 : Date.parse(ts) - (sentAt + Date.now()) / 2;
    this.#measuredAt = performance.now();
    this.#aheadMs = Math.abs(aheadMs) < LEAST_MS ? 0 : Math.round(aheadMs);
  }
}
