import { FaasError } from "../../../contract/errors.ts";
import { DatabaseThread, type DatabaseThreadOptions } from "../../../kit/database-thread.ts";
import type { Logger } from "../../../kit/log.ts";
import { packBodies } from "../../../kit/pack-bodies.ts";
import type {
  EventAnswers,
  EventAsk,
  EventAskKind,
  EventAskOf,
  EventRequest,
  EventThreadAnswer,
  FromEventThread,
  ToEventThread,
} from "./protocol.ts";
import type { BodyPacker } from "./wire.ts";

export interface EventLinkOptions extends Omit<DatabaseThreadOptions, "name"> {
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** On their way to the disk; more are `overloaded`. */
  readonly maxUnstoredBytes: number;
  /** Makes the place of the file; before the thread is started. */
  readonly prepare: () => Promise<void>;
}

export interface EventLinkListener {
  /** @param again whether a thread before this one has died */
  opened(again: boolean): void;
  /** What concerns all: claims, what is ready or pending, what is to be aborted. */
  told(stored: EventThreadAnswer): void;
  /** The thread is gone; another one waits for the promise. */
  lost(): Promise<void>;
}

/** Pause between two tries to open a file that could not be. */
const REOPEN_MS = 1000;

type Waiting = PromiseWithResolvers<unknown> & { readonly bytes: number };

/** Gathers what is asked of the thread in one turn of the event loop, and gives its answers to those who asked. */
export class EventLink {
  readonly #options: EventLinkOptions;
  readonly #listener: EventLinkListener;
  #thread: DatabaseThread<ToEventThread, FromEventThread> | undefined;
  #opening: Promise<void> | undefined;
  /** Why the file could not be opened, and until when that is not tried again. */
  #refusal: { readonly error: FaasError; readonly until: number } | undefined;
  #requests: EventRequest[] = [];
  #bodies: Uint8Array[] = [];
  #bodyBytes = 0;
  #flushing = false;
  readonly #waiting = new Map<number, Waiting>();
  #lastName = 0;
  #unstoredBytes = 0;
  #closing: Promise<void> | undefined;

  readonly packer: BodyPacker = {
    add: (body) => {
      const at = this.#bodyBytes;
      this.#bodies.push(body);
      this.#bodyBytes += body.byteLength;
      return { at, bytes: body.byteLength };
    },
  };

  constructor(options: EventLinkOptions, listener: EventLinkListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** Whether the thread has been started, or is being. */
  get started(): boolean {
    return this.#opening !== undefined;
  }

  /** Starts the thread if that has not been done. @throws {FaasError} `unavailable` while it is away */
  async open(): Promise<void> {
    if (this.#closing) throw new FaasError("unavailable", "the store of events is closed");
    if (this.#refusal && performance.now() < this.#refusal.until) throw this.#refusal.error;
    this.#opening ??= this.#open();
    await this.#opening;
    if (this.#thread?.failure) throw this.#thread.failure;
    if (this.#closing) throw new FaasError("unavailable", "the store of events is closed");
  }

  async #open(): Promise<void> {
    try {
      await this.#options.prepare();
      this.#thread = new DatabaseThread<ToEventThread, FromEventThread>(
        { ...this.#options, name: "store of events" },
        {
          opened: (_message, again) => this.#listener.opened(again),
          received: (message) => this.#received(message),
          lost: async (error) => {
            this.#abandon(error);
            await this.#listener.lost();
          },
        },
      );
      await this.#thread.opened;
    } catch (error) {
      // What is wrong with the place may be mended; the next one tries again.
      this.#thread = undefined;
      this.#opening = undefined;
      const refusal = new FaasError("unavailable", "the store of events cannot be opened", { cause: error });
      this.#refusal = { error: refusal, until: performance.now() + REOPEN_MS };
      this.#options.log.error({ err: error }, "the store of events cannot be opened");
      throw refusal;
    }
  }

  /** @throws {FaasError} `overloaded` when too much waits for the disk */
  ensureRoom(bytes: number): void {
    if (this.#unstoredBytes > 0 && this.#unstoredBytes + bytes > this.#options.maxUnstoredBytes) {
      throw new FaasError("overloaded", "the store of events is busy: too much waits for the disk");
    }
  }

  /** Sends what has an answer. @param bytes that it brings */
  request(request: (name: number) => EventRequest, bytes = 0): Promise<unknown> {
    const name = ++this.#lastName;
    const waiting = { ...Promise.withResolvers<unknown>(), bytes };
    this.#waiting.set(name, waiting);
    this.#unstoredBytes += bytes;
    this.send(() => request(name));
    return waiting.promise;
  }

  async ask<K extends EventAskKind>(ask: EventAskOf<K>): Promise<EventAnswers[K]> {
    await this.open();
    return (await this.request((name) => ({ kind: "ask", name, ask: ask as EventAsk }))) as EventAnswers[K];
  }

  /** Sends what has no answer. Lost with the thread, should that die. @param request may add to {@link packer} */
  send(request: () => EventRequest): void {
    if (this.#thread === undefined || this.#thread.failure) return;
    this.#requests.push(request());
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.#flushing = false;
    if (this.#requests.length === 0) return;
    const bodies = packBodies(this.#bodies);
    this.#thread?.post({ kind: "batch", requests: this.#requests, bodies }, [bodies]);
    this.#requests = [];
    this.#bodies = [];
    this.#bodyBytes = 0;
  }

  #received(message: FromEventThread): void {
    if (message.kind === "log") this.#options.log[message.level](message.facts, message.message);
    if (message.kind !== "stored") return;
    for (const [name, places] of message.appended) this.#settle(name)?.resolve(places);
    for (const [name, { kind, message: text, code }] of message.refused) {
      this.#settle(name)?.reject(new FaasError(kind, text, code && { code }));
    }
    for (const [name, value] of message.answers) this.#settle(name)?.resolve(value);
    this.#listener.told(message);
  }

  #settle(name: number): Waiting | undefined {
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    this.#unstoredBytes -= waiting?.bytes ?? 0;
    return waiting;
  }

  /** Lets nobody wait for an answer that will not come. */
  #abandon(error: FaasError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#requests = [];
    this.#bodies = [];
    this.#bodyBytes = 0;
    this.#unstoredBytes = 0;
    for (const { reject } of waiting) reject(error);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#opening?.catch(() => undefined);
    this.flush();
    await this.#thread?.close();
    this.#abandon(new FaasError("unavailable", "the store of events is closed"));
  }
}
