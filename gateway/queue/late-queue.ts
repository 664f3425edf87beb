import { FaasError } from "../../contract/errors.ts";
import { shortageOf } from "../../contract/shortages.ts";
import { keepTrying } from "../../kit/keep-trying.ts";
import type { Logger } from "../../kit/log.ts";
import { StartError } from "../../kit/process.ts";
import type { ConsumeOptions, Consumer, Deliver, Queue } from "./queue.ts";

export interface LateQueueOptions {
  /** Opens the queue itself; tried until it succeeds, or fails with a {@link StartError}. */
  readonly open: () => Promise<Queue>;
  /** Told when it has failed for good: it is not tried again. */
  readonly onFailure?: (error: StartError) => void;
  readonly maxBodyBytes: number;
  readonly maxResultBytes: number;
  /** Wait between two tries: its shortest and longest, in milliseconds. Default 0.25 s and 5 s. */
  readonly waitMs?: readonly [min: number, max: number];
  readonly log: Pick<Logger, "info" | "warn">;
}

/**
 * A queue whose server, or the room for its file, may not be there yet: it is opened in the background, and everything is
 * `unavailable` until then. A gateway that did not start without its queue would turn an outage of one into one of both.
 */
export class LateQueue implements Queue {
  readonly maxBodyBytes: number;
  readonly maxResultBytes: number;
  readonly deadLetters: Queue["deadLetters"] = {
    list: async (filter, page) => await this.#opened().deadLetters.list(filter, page),
    replay: async (filter) => await this.#opened().deadLetters.replay(filter),
    drop: async (filter) => await this.#opened().deadLetters.drop(filter),
  };
  readonly #options: LateQueueOptions;
  readonly #whenTried = Promise.withResolvers<void>();
  readonly #whenOpen = Promise.withResolvers<void>();
  readonly #closing = new AbortController();
  readonly #opening: Promise<void>;
  #queue: Queue | undefined;
  /** Why it could not be opened when that was tried last, where that may be told. */
  #problem: string | undefined;

  constructor(options: LateQueueOptions) {
    this.#options = options;
    this.maxBodyBytes = options.maxBodyBytes;
    this.maxResultBytes = options.maxResultBytes;
    this.#opening = this.#open();
  }

  /** Resolves once it has been tried to open it for the first time, whatever came of that. */
  get whenTried(): Promise<void> {
    return this.#whenTried.promise;
  }

  /** Resolves once it is open; never when it is closed before. */
  get whenOpen(): Promise<void> {
    return this.#whenOpen.promise;
  }

  async publish(call: Parameters<Queue["publish"]>[0]) {
    return await this.#opened().publish(call);
  }

  async consume(deliver: Deliver, options: ConsumeOptions): Promise<Consumer> {
    return await this.#opened().consume(deliver, options);
  }

  async find(id: string) {
    return await this.#opened().find(id);
  }

  async result(id: string) {
    return await this.#opened().result(id);
  }

  async cancel(id: string) {
    return await this.#opened().cancel(id);
  }

  async purge(ref: Parameters<Queue["purge"]>[0]) {
    return await this.#opened().purge(ref);
  }

  async list(filter: Parameters<Queue["list"]>[0], page: Parameters<Queue["list"]>[1]) {
    return await this.#opened().list(filter, page);
  }

  async request(id: string, bodyBytes: number) {
    return await this.#opened().request(id, bodyBytes);
  }

  async callBack(id: string) {
    return await this.#opened().callBack(id);
  }

  async stats() {
    return await this.#opened().stats();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#opening;
    await this.#queue?.close();
  }

  #opened(): Queue {
    if (this.#queue) return this.#queue;
    const why = this.#problem === undefined ? "" : `: ${this.#problem}`;
    throw new FaasError("unavailable", `the queue is not there yet${why}`, { code: "queue_unavailable" });
  }

  async #open(): Promise<void> {
    const { open, log, waitMs = [250, 5_000] } = this.#options;
    const attempt = async (before: number) => {
      try {
        this.#queue = await open();
        if (before > 0) log.info("the queue has been opened");
        this.#whenOpen.resolve();
        return true;
      } catch (err) {
        if (err instanceof StartError) {
          this.#options.onFailure?.(err);
          return true;
        }
        this.#problem = shortageOf(err)?.message;
        log.warn({ err }, "the queue cannot be opened; trying again");
        return false;
      } finally {
        this.#whenTried.resolve();
      }
    };
    await keepTrying(attempt, waitMs, this.#closing.signal);
  }
}
