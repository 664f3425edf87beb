import { Pool } from "undici";
import type { Candidate } from "../core/choose-replica.ts";

export interface UpstreamOptions {
  /** Longest wait for response headers, and between two pieces of a body, in milliseconds. */
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
}

/** One replica of a function and the connections to it. */
export class Replica implements Candidate {
  readonly address: string;
  readonly pool: Pool;
  ready: boolean;
  outstanding = 0;

  constructor(address: string, ready: boolean, { timeoutMs, connectTimeoutMs }: UpstreamOptions) {
    this.address = address;
    this.ready = ready;
    this.pool = new Pool(`http://${address}`, {
      pipelining: 1,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connect: { timeout: connectTimeoutMs },
      // Shorter than any watchdog's own, so that we never send into a connection the other side is closing.
      keepAliveTimeout: 20_000,
      keepAliveMaxTimeout: 60_000,
      // Function answers have headers of their own choosing; Node's default of 16 KiB is too little for some.
      maxHeaderSize: 256 * 1024,
    });
  }

  /** Lets calls under way finish, then closes the connections. */
  async close(): Promise<void> {
    this.ready = false;
    await this.pool.close();
  }

  /** Cuts whatever is under way. */
  async destroy(): Promise<void> {
    this.ready = false;
    await this.pool.destroy();
  }
}
