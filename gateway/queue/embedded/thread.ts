import type { Worker } from "node:worker_threads";
import { FaasError } from "../../../contract/errors.ts";
import { shortageOf } from "../../../contract/shortages.ts";
import type { Logger } from "../../../kit/log.ts";
import type { IdKey } from "./call-ids.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";

export interface EmbeddedThreadOptions {
  readonly startThread: () => Worker;
  /** Pauses before the thread is started again, one for each time in a row that it dies. */
  readonly restartWaitsMs: readonly number[];
  readonly log: Pick<Logger, "info" | "error">;
  /** Told once when the thread has died for good. */
  readonly onFailure?: (error: Error) => void;
  /** Milliseconds that only go forward. Default: those of this process. */
  readonly clock?: () => number;
}

export interface ThreadListener {
  /** @param again whether the one before has died */
  opened(key: IdKey, again: boolean): void;
  received(message: FromWorker): void;
  /** The thread is gone, and with it what was handed to it and is not on disk. Another one waits for the promise. */
  lost(error: FaasError): Promise<void>;
}

/** A thread that has lived this long has got over what the one before died of. */
const HEALTHY_MS = 60_000;

/** The thread that has the queue's file; another one when that dies. */
export class EmbeddedThread {
  readonly opened: Promise<void>;
  readonly #options: EmbeddedThreadOptions;
  readonly #listener: ThreadListener;
  readonly #clock: () => number;
  readonly #opening = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #state: "opening" | "open" | "lost" | "failed" | "closed" = "opening";
  #wasOpen = false;
  /** Of the thread there is; undefined until it is open. */
  #openedAt: number | undefined;
  #deaths = 0;
  #restart: NodeJS.Timeout | undefined;
  #failure: FaasError | undefined;

  constructor(options: EmbeddedThreadOptions, listener: ThreadListener) {
    this.#options = options;
    this.#listener = listener;
    this.#clock = options.clock ?? (() => performance.now());
    this.opened = this.#opening.promise;
    this.#start();
  }

  /** Why nothing can be done, for now or for good. */
  get failure(): FaasError | undefined {
    return this.#failure;
  }

  post(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  async close(): Promise<void> {
    clearTimeout(this.#restart);
    const works = this.#state === "open";
    this.#state = "closed";
    if (works) this.post({ kind: "close" });
    else await this.#worker?.terminate();
    await this.#exited;
  }

  #start(): void {
    const worker = this.#options.startThread();
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once("exit", () => resolve()));
    // What a thread says that has been given up is of no interest.
    const current = () => this.#worker === worker && this.#state !== "lost" && this.#state !== "failed";
    worker.on("message", (message: FromWorker) => {
      if (current()) this.#receive(message);
    });
    worker.on("error", (error) => {
      if (current()) this.#died(error);
    });
    worker.on("exit", (code) => {
      if (current()) this.#died(new Error(`the queue's thread ended with code ${code}`));
    });
  }

  #receive(message: FromWorker): void {
    if (message.kind === "refusedToOpen") this.#died(new Error(message.message, { cause: message.cause }));
    else if (message.kind === "opened") this.#onOpened(message.key);
    else this.#listener.received(message);
  }

  #onOpened(key: IdKey): void {
    if (this.#state === "closed") return;
    const again = this.#wasOpen;
    this.#state = "open";
    this.#wasOpen = true;
    this.#openedAt = this.#clock();
    this.#failure = undefined;
    this.#listener.opened(key, again);
    this.#opening.resolve();
    if (again) this.#options.log.info({}, "the queue works again");
  }

  #died(cause: Error): void {
    if (this.#state === "closed") return;
    this.#state = "lost";
    if (!this.#wasOpen) {
      this.#state = "failed";
      this.#failure = new FaasError("unavailable", "the queue could not be opened", { cause });
      this.#opening.reject(cause);
      return;
    }
    this.#failure = new FaasError("unavailable", "the queue has failed", { cause });
    const stopped = this.#listener.lost(this.#failure);
    if (this.#openedAt !== undefined && this.#clock() - this.#openedAt > HEALTHY_MS) this.#deaths = 0;
    this.#openedAt = undefined;
    // What has run out comes back, sooner or later, and is no fault of the queue's.
    const waits = this.#options.restartWaitsMs;
    const waitMs = shortageOf(cause) ? waits.at(-1) : waits[this.#deaths++];
    if (waitMs === undefined) {
      this.#state = "failed";
      this.#options.log.error({ err: cause }, "the queue has failed for good");
      this.#options.onFailure?.(cause);
      return;
    }
    this.#options.log.error({ err: cause, waitMs }, "the queue has failed; it is started again");
    this.#restart = setTimeout(() => void this.#startAgain(stopped), waitMs);
  }

  async #startAgain(stopped: Promise<void>): Promise<void> {
    // Two may not have the file, and no call is to run twice at the same time.
    await Promise.all([this.#worker?.terminate(), stopped]);
    if (this.#state !== "lost") return;
    this.#state = "opening";
    this.#start();
  }
}
