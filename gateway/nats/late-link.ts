import { keepTrying } from "../../kit/keep-trying.ts";
import type { Logger } from "../../kit/log.ts";
import type { Link } from "./connection.ts";

export interface LateLinkOptions {
  /** Connects; tried until it succeeds. */
  readonly open: () => Promise<Link>;
  readonly log: Pick<Logger, "info" | "warn">;
}

const MIN_WAIT_MS = 250;
const MAX_WAIT_MS = 5_000;

/** A connection whose server may not be there yet: it is made in the background. */
export class LateLink {
  readonly #options: LateLinkOptions;
  readonly #closing = new AbortController();
  readonly #opening: Promise<void>;
  readonly #listeners: ((link: Link) => void)[] = [];
  #link: Link | undefined;

  constructor(options: LateLinkOptions) {
    this.#options = options;
    this.#opening = this.#open();
  }

  /** Undefined while there is no connection. */
  get connected(): Link | undefined {
    return this.#link?.connected ? this.#link : undefined;
  }

  /** Calls `listener` once the first connection is there; reconnecting is the connection's own affair. */
  onOpen(listener: (link: Link) => void): void {
    if (this.#link) listener(this.#link);
    else this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#opening;
    await this.#link?.close();
  }

  async #open(): Promise<void> {
    const { open, log } = this.#options;
    const { signal } = this.#closing;
    let told: string | undefined;
    const attempt = async () => {
      try {
        this.#link = await open();
        if (told !== undefined) log.info("gateways can share their work now");
        return true;
      } catch (err) {
        const { message } = err as Error;
        if (message !== told) log.warn({ err }, "gateways cannot share their work yet; trying again");
        told = message;
        return false;
      }
    };
    await keepTrying(attempt, [MIN_WAIT_MS, MAX_WAIT_MS], signal);
    if (this.#link) for (const listener of this.#listeners.splice(0)) listener(this.#link);
  }
}
