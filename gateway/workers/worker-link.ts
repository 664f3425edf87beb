import type { Worker } from "node:worker_threads";
import { StartError } from "../../kit/process.ts";
import type { FromThread, StartFailure, ToThread } from "./protocol.ts";

export interface Listening {
  readonly port: number;
  readonly url: string;
}

/** What a thread tells beside whether it listens and stops. */
export type WorkerNews = Exclude<FromThread, { kind: "listening" | "failed" | "stopped" }>;

export interface WorkerLinkOptions {
  /** Number of the thread. */
  readonly thread: number;
  readonly worker: Worker;
  readonly onNews: (news: WorkerNews) => void;
  /** It has ended. @param error why; absent when it says nothing of that */
  readonly onEnd: (error: Error | undefined) => void;
}

/** The main thread's end of one that takes calls. */
export class WorkerLink {
  readonly thread: number;
  readonly startedAt = performance.now();
  /** Calls of functions that it had under way by its last report, by the ids of their counters. */
  readonly unended = new Map<number, { readonly name: string; count: number }>();
  readonly #worker: Worker;
  readonly #listening = Promise.withResolvers<Listening>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #answers = new Map<number, () => void>();
  #lastQuestion = 0;
  #error: Error | undefined;

  constructor({ thread, worker, onNews, onEnd }: WorkerLinkOptions) {
    this.thread = thread;
    this.#worker = worker;
    this.#listening.promise.catch(() => {}); // whoever asks gets it
    worker.on("message", (message: FromThread) => this.#receive(message, onNews));
    worker.on("error", (error: Error) => {
      this.#error = error;
    });
    worker.on("exit", () => {
      this.#listening.reject(this.#error ?? new Error("a gateway worker ended before it listened"));
      this.#stopped.resolve();
      for (const answered of this.#answers.values()) answered();
      onEnd(this.#error);
    });
  }

  #receive(message: FromThread, onNews: WorkerLinkOptions["onNews"]): void {
    if (message.kind === "listening") this.#listening.resolve(message);
    else if (message.kind === "failed") this.#listening.reject(asError(message.error));
    else if (message.kind === "stopped") this.#stopped.resolve();
    else {
      onNews(message);
      if (message.kind === "report" && message.number !== undefined) this.#answers.get(message.number)?.();
    }
  }

  post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  /**
   * @param claim whether nobody else may have the port yet
   * @throws the listen error, {@link StartError} or what ended the thread
   */
  listen(port: number, claim: boolean): Promise<Listening> {
    this.post({ kind: "listen", port, claim });
    return this.#listening.promise;
  }

  /** Resolves when it has told what it counted, or has ended. */
  async report(): Promise<void> {
    const number = ++this.#lastQuestion;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#answers.set(number, resolve);
    this.post({ kind: "report", number });
    await promise;
    this.#answers.delete(number);
  }

  /** Has it finish the calls that it has, and take no others. */
  async stop(timeoutMs: number): Promise<void> {
    this.post({ kind: "stop", timeoutMs });
    await this.#stopped.promise;
  }

  /** Ends it, whatever it is at. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

function asError({ message, explained, ...facts }: StartFailure): Error {
  return explained ? new StartError(message) : Object.assign(new Error(message), facts);
}
