import { type IncomingMessage, ServerResponse } from "node:http";
import type { DeadlineList, Expiring } from "./deadlines.ts";

/**
 * A response that carries what the watchdog must remember of its call, so that the hot path needs no closures and no side
 * table.
 */
export class Exchange extends ServerResponse<IncomingMessage> implements Expiring {
  /** When the request's headers were complete, on the clock of `performance.now()`. */
  startedAt = 0;
  /** Parties that have not finished: the connection, and a process that may outlive it. */
  #openEnds = 1;
  /** Called once when all of them have. */
  onSettled: ((exchange: Exchange) => void) | null = null;
  /** What happens when the time is up; set by the mode. */
  onExpire: ((exchange: Exchange) => void) | null = null;
  /** What happens when the time is up, the answer is complete, and the caller has not yet taken all of it. */
  onUnsent: ((exchange: Exchange) => void) | null = null;
  expiresAt = 0;
  earlier: Expiring | null = null;
  later: Expiring | null = null;
  waitsIn: DeadlineList | null = null;

  expire(): void {
    this.onExpire?.(this);
    if (this.writableEnded && !this.writableFinished && this.waitsIn === null) this.onUnsent?.(this);
  }

  /** Keeps the call counted as under way until a matching `release`, even if its connection closes before. */
  hold(): void {
    this.#openEnds++;
  }

  release(): void {
    if (--this.#openEnds === 0) this.onSettled?.(this);
  }

  /** Seconds since the request arrived, as OpenFaaS prints them. */
  durationSeconds(): string {
    return ((performance.now() - this.startedAt) / 1000).toFixed(6);
  }
}
