import { createInbox, type Msg, type MsgHdrs, headers as newHeaders, type Subscription } from "nats";
import { FaasError } from "../../contract/errors.ts";
import { API_ERRORS, JetStreamError, type Link } from "./connection.ts";

/** What the stream that stored a message answers. */
export interface StoredAt {
  readonly stream: string;
  readonly seq: number;
  /** A message with the same id had been stored, and has that `seq`. */
  readonly duplicate: boolean;
}

export interface PublishRequest {
  /** Messages of one id are stored once, within the stream's window. */
  readonly id?: string;
  /** The subject must have no message yet. */
  readonly first?: boolean;
  /** Number of the subject's last message, which must still be it. */
  readonly after?: number;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** From now, for a server that is away. */
  readonly timeoutMs?: number;
}

interface Unstored {
  readonly token: string;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  readonly deadline: number;
  readonly resolve: (at: StoredAt) => void;
  readonly reject: (error: Error) => void;
  /** When to send it (again): nobody was there to take it. */
  resendAt: number;
  /** Why the server could not store it when it was sent last. */
  refused?: string;
}

export interface PublisherOptions {
  /** What is kept there, as errors call it. Default `queue`. */
  readonly what?: string;
  readonly timeoutMs: number;
  readonly maxUnstored: number;
  readonly maxUnstoredBytes: number;
  /** Told when no stream takes a subject, so that it can be made. */
  readonly missing: (subject: string) => void;
}

/** For the headers of a message: its id, what it expects. */
const HEADER_BYTES = 4096;
const SWEEP_MS = 50;
const RESEND_MS = 150;

/**
 * Publishes into streams and waits for their answers. The client's own way makes a timer and a stack trace for each
 * message; here one subscription and one timer serve them all, and what was on its way when a connection broke is sent
 * again on the next one.
 */
export class Publisher {
  readonly #link: Link;
  readonly #options: PublisherOptions;
  readonly #what: string;
  readonly #inbox = `${createInbox()}.`;
  readonly #subscription: Subscription;
  readonly #unstored = new Map<string, Unstored>();
  readonly #offReconnect: () => void;
  #bytes = 0;
  #lastToken = 0;
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(link: Link, options: PublisherOptions) {
    this.#link = link;
    this.#options = options;
    this.#what = options.what ?? "queue";
    this.#subscription = link.nc.subscribe(`${this.#inbox}*`, { callback: (_err, msg) => this.#answered(msg) });
    this.#offReconnect = link.onReconnect(() => this.#sendAll());
  }

  /** Largest message that can be published, without its headers. */
  get maxBytes(): number {
    return this.#link.maxPayload - HEADER_BYTES;
  }

  /** Whether a caller's message would have to wait for too many others. */
  get full(): boolean {
    return this.#unstored.size >= this.#options.maxUnstored || this.#bytes >= this.#options.maxUnstoredBytes;
  }

  /**
   * @throws {FaasError} `overloaded` when the stream is full; `unavailable` when no server stores it in time
   * @throws {JetStreamError} what the stream refuses for other reasons
   */
  publish(subject: string, payload: Uint8Array, request: PublishRequest = {}): Promise<StoredAt> {
    if (this.#closed) return Promise.reject(new FaasError("unavailable", `the ${this.#what} is closed`));
    const timeoutMs = request.timeoutMs ?? this.#options.timeoutMs;
    const { downSince } = this.#link;
    const now = performance.now();
    if (downSince !== undefined && now - downSince > timeoutMs) return Promise.reject(away(this.#what));
    return new Promise((resolve, reject) => {
      const token = (++this.#lastToken).toString(36);
      const unstored: Unstored = {
        token,
        subject,
        payload,
        headers: headersOf(request),
        deadline: now + timeoutMs,
        resolve,
        reject,
        resendAt: Number.POSITIVE_INFINITY,
      };
      this.#unstored.set(token, unstored);
      this.#bytes += payload.byteLength;
      this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS);
      this.#send(unstored);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#offReconnect();
    for (const unstored of this.#unstored.values()) {
      this.#end(unstored);
      unstored.reject(new FaasError("unavailable", `the ${this.#what} is closed`));
    }
    clearInterval(this.#sweeper);
    if (!this.#link.nc.isClosed()) this.#subscription.unsubscribe();
  }

  #send(unstored: Unstored): void {
    unstored.resendAt = Number.POSITIVE_INFINITY;
    if (!this.#link.connected) return; // sent once connected again
    const { subject, payload, headers, token } = unstored;
    this.#link.send({
      subject,
      payload,
      reply: this.#inbox + token,
      ...(headers && { headers }),
      failed: (cause) => {
        this.#end(unstored);
        unstored.reject(new FaasError("unavailable", "what is to be stored cannot be sent to NATS", { cause }));
      },
    });
  }

  #sendAll(): void {
    for (const unstored of this.#unstored.values()) this.#send(unstored);
  }

  #answered(msg: Msg): void {
    const unstored = this.#unstored.get(msg.subject.slice(this.#inbox.length));
    if (!unstored) return;
    if (msg.data.length === 0) {
      // Nobody there: no stream has the subject, or its leader is being chosen.
      unstored.resendAt = performance.now() + RESEND_MS;
      this.#options.missing(unstored.subject);
      return;
    }
    let answer: { stream: string; seq: number; duplicate?: boolean; error?: ApiError };
    try {
      answer = msg.json();
    } catch (cause) {
      this.#end(unstored);
      unstored.reject(new FaasError("unavailable", "NATS gave an answer that cannot be read", { cause }));
      return;
    }
    if (answer.error?.code === 503 && !isFull(answer.error)) {
      // No leader, no room on the disk: may pass.
      unstored.refused = answer.error.description;
      unstored.resendAt = performance.now() + RESEND_MS;
      return;
    }
    this.#end(unstored);
    if (answer.error) unstored.reject(refusalOf(answer.error, this.#what));
    else unstored.resolve({ stream: answer.stream, seq: answer.seq, duplicate: answer.duplicate === true });
  }

  #sweep(): void {
    const now = performance.now();
    for (const unstored of this.#unstored.values()) {
      if (now >= unstored.deadline) {
        this.#end(unstored);
        unstored.reject(unstored.refused === undefined ? away(this.#what) : cannotStore(unstored.refused, this.#what));
      } else if (now >= unstored.resendAt) {
        this.#send(unstored);
      }
    }
    if (this.#unstored.size === 0) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
    }
  }

  #end({ token, payload }: Unstored): void {
    this.#unstored.delete(token);
    this.#bytes -= payload.byteLength;
  }
}

interface ApiError {
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

function headersOf({ id, first, after, headers }: PublishRequest): MsgHdrs | undefined {
  if (id === undefined && !first && after === undefined && headers === undefined) return undefined;
  const all = newHeaders();
  if (id !== undefined) all.set("Nats-Msg-Id", id);
  if (first) all.set("Nats-Expected-Last-Subject-Sequence", "0");
  if (after !== undefined) all.set("Nats-Expected-Last-Subject-Sequence", String(after));
  for (const [name, value] of headers ?? []) all.set(name, value);
  return all;
}

function refusalOf(error: ApiError, what: string): Error {
  if (isFull(error)) return new FaasError("overloaded", `the ${what} is full`);
  return new JetStreamError(error.err_code, error.code, error.description);
}

/** The stream has reached a limit of its own; servers have one code for several such reasons. */
function isFull({ err_code, description }: ApiError): boolean {
  return err_code === API_ERRORS.storeFailed && /^maximum (messages|bytes)/.test(description);
}

function cannotStore(why: string, what: string): FaasError {
  return new FaasError("unavailable", `the ${what}'s NATS server cannot store: ${why}`);
}

function away(what: string): FaasError {
  return new FaasError("unavailable", `the ${what}'s NATS server cannot be reached`);
}
