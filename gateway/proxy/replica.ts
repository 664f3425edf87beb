import { Pool } from "undici";
import type { Startup } from "../../contract/endpoints.ts";
import { MAX_FORWARDED_HEAD_BYTES } from "../../http/forwarding.ts";
import type { Candidate } from "../core/choose-replica.ts";
import { Responsiveness } from "./responsiveness.ts";

export interface UpstreamOptions {
  readonly connectTimeoutMs: number;
}

const MIN_AVOID_MS = 100;
const MAX_AVOID_MS = 5_000;
const TIMER_SLACK_MS = 20;

/** One replica of a function and the connections to it. */
export class ReplicaConnection implements Candidate {
  readonly address: string;
  readonly pool: Pool;
  /** Whether the provider says that it is ready. */
  announced: boolean;
  outstanding = 0;
  /** Whether it answers. */
  readonly responsiveness = new Responsiveness();
  lagging = false;
  /** Whether its function has ever answered a call. */
  heard = false;
  /** How it came up, if that was a short time ago. */
  startup: Startup | undefined;
  /** When `announced` became what it is, by `performance.now()`. */
  announcedAt = performance.now();
  #refusals = 0;
  /** By `performance.now()`; 0 unless it has just refused a connection. */
  #avoidUntil = 0;

  constructor(address: string, announced: boolean, { connectTimeoutMs }: UpstreamOptions) {
    this.address = address;
    this.announced = announced;
    this.pool = new Pool(`http://${address}`, {
      pipelining: 1,
      connect: { timeout: connectTimeoutMs },
      // Shorter than any watchdog's own, so that we never send into a connection the other side is closing.
      keepAliveTimeout: 20_000,
      keepAliveMaxTimeout: 60_000,
      maxHeaderSize: MAX_FORWARDED_HEAD_BYTES,
    });
  }

  get ready(): boolean {
    return this.announced && (this.#avoidUntil === 0 || performance.now() >= this.#avoidUntil);
  }

  /**
   * It has refused a connection. The provider may not know, or know better, so it is left out for a moment only.
   * @returns for how long, in milliseconds
   */
  avoid(): number {
    const avoidMs = Math.min(MIN_AVOID_MS * 2 ** this.#refusals++, MAX_AVOID_MS);
    this.#avoidUntil = performance.now() + avoidMs;
    return avoidMs;
  }

  /**
   * The time that {@link avoid} told is over, by a timer, which may be a hair early by this clock.
   * @returns whether it may be chosen again; it may have refused another connection since
   */
  readmit(): boolean {
    if (this.#avoidUntil - performance.now() > TIMER_SLACK_MS) return false;
    this.#avoidUntil = 0;
    return true;
  }

  /** It has taken a connection, or the provider has news of it. */
  trust(): void {
    this.#refusals = 0;
    this.#avoidUntil = 0;
  }

  /** Lets calls under way finish, then closes the connections. */
  async close(): Promise<void> {
    this.announced = false;
    await this.pool.close();
  }

  /** Cuts whatever is under way. */
  async destroy(): Promise<void> {
    this.announced = false;
    await this.pool.destroy();
  }
}
