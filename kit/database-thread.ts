import type { Worker } from "node:worker_threads";
import { FaasError } from "../contract/errors.ts";
import { shortageOf } from "../contract/shortages.ts";
import type { Logger } from "./log.ts";

/** What is left of an error's cause on its way between threads. */
interface ErrorCodes {
  readonly code?: string;
  /** Of SQLite. */
  readonly errcode?: number;
}

/** What a thread says that cannot open its file, before it ends. */
export interface RefusedToOpen {
  readonly kind: "refusedToOpen";
  readonly message: string;
  readonly cause?: ErrorCodes;
}

export function refusedToOpen(what: string, error: unknown): RefusedToOpen {
  const { message, code, errcode } = error as Error & ErrorCodes;
  const cause = { ...(code !== undefined && { code }), ...(errcode !== undefined && { errcode }) };
  return { kind: "refusedToOpen", message: `${what}: ${message}`, cause };
}

export interface DatabaseThreadOptions {
  /** What messages call it, e.g. `queue`. */
  readonly name: string;
  readonly startThread: () => Worker;
  /** Pauses before the thread is started again, one for each time in a row that it dies. */
  readonly restartWaitsMs: readonly number[];
  readonly log: Pick<Logger, "info" | "error">;
  /** Told once when the thread has died for good. */
  readonly onFailure?: (error: Error) => void;
  /** Milliseconds that only go forward. Default: those of this process. */
  readonly clock?: () => number;
}

type Message = { readonly kind: string };

export interface ThreadListener<From extends Message> {
  /** @param again whether the one before has died */
  opened(message: Extract<From, { kind: "opened" }>, again: boolean): void;
  received(message: From): void;
  /** The thread is gone, and with it what was handed to it and is not on disk. Another one waits for the promise. */
  lost(error: FaasError): Promise<void>;
}

/** A thread that has lived this long has got over what the one before died of. */
const HEALTHY_MS = 60_000;

/**
 * A thread that has a database file, and another one when that dies. It says `opened` or {@link RefusedToOpen} first, and
 * ends at the message `close`.
 */
export class DatabaseThread<To extends Message, From extends Message> {
  readonly opened: Promise<void>;
  readonly #options: DatabaseThreadOptions;
  readonly #listener: ThreadListener<From>;
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

  constructor(options: DatabaseThreadOptions, listener: ThreadListener<From>) {
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

  post(message: To, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  async close(): Promise<void> {
    clearTimeout(this.#restart);
    const works = this.#state === "open";
    this.#state = "closed";
    if (works) this.#worker?.postMessage({ kind: "close" });
    else await this.#worker?.terminate();
    await this.#exited;
  }

  #start(): void {
    const worker = this.#options.startThread();
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once("exit", () => resolve()));
    // What a thread says that has been given up is of no interest.
    const current = () => this.#worker === worker && this.#state !== "lost" && this.#state !== "failed";
    worker.on("message", (message: From | RefusedToOpen) => {
      if (current()) this.#receive(message);
    });
    worker.on("error", (error) => {
      if (current()) this.#died(error);
    });
    worker.on("exit", (code) => {
      if (current()) this.#died(new Error(`the ${this.#options.name}'s thread ended with code ${code}`));
    });
  }

  #receive(message: From | RefusedToOpen): void {
    if (isRefusal(message)) this.#died(new Error(message.message, { cause: message.cause }));
    else if (message.kind === "opened") this.#onOpened(message as Extract<From, { kind: "opened" }>);
    else this.#listener.received(message);
  }

  #onOpened(message: Extract<From, { kind: "opened" }>): void {
    if (this.#state === "closed") return;
    const again = this.#wasOpen;
    this.#state = "open";
    this.#wasOpen = true;
    this.#openedAt = this.#clock();
    this.#failure = undefined;
    this.#listener.opened(message, again);
    this.#opening.resolve();
    if (again) this.#options.log.info({}, `the ${this.#options.name} works again`);
  }

  #died(cause: Error): void {
    if (this.#state === "closed") return;
    this.#state = "lost";
    if (!this.#wasOpen) {
      this.#state = "failed";
      this.#failure = new FaasError("unavailable", `the ${this.#options.name} could not be opened`, { cause });
      this.#opening.reject(cause);
      return;
    }
    this.#failure = new FaasError("unavailable", `the ${this.#options.name} has failed`, { cause });
    const stopped = this.#listener.lost(this.#failure);
    if (this.#openedAt !== undefined && this.#clock() - this.#openedAt > HEALTHY_MS) this.#deaths = 0;
    this.#openedAt = undefined;
    // What has run out comes back, sooner or later, and is no fault of the queue's.
    const waits = this.#options.restartWaitsMs;
    const waitMs = shortageOf(cause) ? waits.at(-1) : waits[this.#deaths++];
    if (waitMs === undefined) {
      this.#state = "failed";
      this.#options.log.error({ err: cause }, `the ${this.#options.name} has failed for good`);
      this.#options.onFailure?.(cause);
      return;
    }
    this.#options.log.error({ err: cause, waitMs }, `the ${this.#options.name} has failed; it is started again`);
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

function isRefusal(message: Message): message is RefusedToOpen {
  return message.kind === "refusedToOpen";
}
