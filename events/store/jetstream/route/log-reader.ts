import type { Link } from "../../../../gateway/nats/connection.ts";
import { openReader, removeConsumer } from "../../../../gateway/nats/consumers.ts";
import { type Delivery, Pull } from "../../../../gateway/nats/pull.ts";
import { EVENT_STREAMS, LOG_FILTER, newId } from "../client/names.ts";

const BATCH = 256;
const WAIT_MS = 1500;
/** Messages that wait here to be routed; no more are asked for meanwhile. */
const ENOUGH = 256;

/** Reads the log from a place on, as it grows. */
export class LogReader {
  readonly #link: Link;
  readonly #name = `route-${newId()}`;
  readonly #pull: Pull;
  #waiting: Delivery[] = [];
  #wake = Promise.withResolvers<void>();
  #lost = false;

  private constructor(link: Link) {
    this.#link = link;
    this.#pull = new Pull(link, EVENT_STREAMS.log, this.#name, {
      delivered: (delivery) => {
        this.#waiting.push(delivery);
        this.#wake.resolve();
        this.#ask();
      },
      over: (lost) => {
        this.#lost ||= lost;
        if (lost) this.#wake.resolve();
        this.#ask();
      },
    });
  }

  static async open(link: Link, start: number): Promise<LogReader> {
    const reader = new LogReader(link);
    await openReader(link, EVENT_STREAMS.log, reader.#name, { subject: LOG_FILTER, start });
    reader.#ask();
    return reader;
  }

  /** Whether a new one is needed, from where this one has come to. */
  get lost(): boolean {
    return this.#lost;
  }

  /** What has come, in order: at least one, or none after `timeoutMs` or when it is {@link lost}. */
  async next(limit: number, timeoutMs: number): Promise<readonly Delivery[]> {
    if (this.#waiting.length === 0 && !this.#lost) {
      this.#wake = Promise.withResolvers();
      const timer = setTimeout(this.#wake.resolve, timeoutMs);
      await this.#wake.promise;
      clearTimeout(timer);
    }
    const taken = this.#waiting.splice(0, limit);
    this.#ask();
    return taken;
  }

  interrupt(): void {
    this.#wake.resolve();
  }

  async close(): Promise<void> {
    await this.#pull.leave();
    if (this.#link.connected) await removeConsumer(this.#link, { stream: EVENT_STREAMS.log, name: this.#name });
  }

  #ask(): void {
    if (this.#lost || this.#pull.outstanding > 0 || this.#waiting.length > ENOUGH) return;
    this.#pull.ask(BATCH, WAIT_MS);
    // Nothing is asked without a connection.
    if (this.#pull.outstanding === 0) this.#lost = true;
  }
}
