import { createHash, type Hash } from "node:crypto";
import type { Duplex } from "node:stream";
import type { AnswerDigest } from "../core/traffic/compare-answers.ts";
import type { AnswerHeaders, Exchange, Flow, OpenCall, PlatformAnswer } from "./exchange.ts";
import type { FunctionMeter } from "./function-meter.ts";
import type { CallHeaders } from "./headers.ts";

/** Of larger ones only the length is compared, and a copy's is not read to its end. */
const MAX_COMPARED_BYTES = 4 * 1024 ** 2;
/** Of an answer that goes by, before it is hashed. */
const MAX_KEPT_BYTES = 64 * 1024;
/** Bodies of requests that are copied. */
const MAX_COPIED_BYTES = 64 * 1024;

/** An answer as it goes by. What it is like is computed when it is over, so that nobody waits for that. */
class PassingAnswer {
  #hash: Hash | undefined;
  #pieces: Buffer[] = [];
  #status = 0;
  #length = 0;

  begin(status: number): void {
    this.#status = status;
  }

  /** @returns whether it is still worth reading */
  data(piece: Buffer): boolean {
    this.#length += piece.length;
    if (this.isTooLong) {
      this.#pieces = [];
      return false;
    }
    this.#pieces.push(piece);
    if (this.#hash || this.#length > MAX_KEPT_BYTES) this.#digest();
    return true;
  }

  get isTooLong(): boolean {
    return this.#length > MAX_COMPARED_BYTES;
  }

  /** @param isWhole whether all of it has gone by */
  end(isWhole = true): AnswerDigest {
    const hash = this.isTooLong ? undefined : this.#digest().digest("base64url");
    return { status: this.#status, length: isWhole ? this.#length : undefined, hash };
  }

  #digest(): Hash {
    this.#hash ??= createHash("sha1"); // to tell answers apart that nobody has made alike on purpose
    for (const piece of this.#pieces) this.#hash.update(piece);
    this.#pieces = [];
    return this.#hash;
  }
}

/** The request of a call, as its function gets it. */
export interface CopiedRequest {
  readonly headers: readonly string[];
  readonly body: Buffer | null;
}

export interface CopyingOptions {
  /** Told when the call has been given to its own version. */
  readonly sent: (request: CopiedRequest) => void;
  /** Told how it ended, once; undefined for an answer that is not whole, or no function's. To be asked when its caller has it. */
  readonly ended: (digest: (() => AnswerDigest) | undefined) => void;
}

/** The exchange of a call that is copied: all goes through it as it would without, and is noted. */
export class CopiedExchange implements Exchange {
  readonly #inner: Exchange;
  readonly #options: CopyingOptions;
  readonly #answer = new PassingAnswer();
  #headers: readonly string[] = [];
  #isOver = false;

  constructor(inner: Exchange, options: CopyingOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  get caller(): Exchange["caller"] {
    return this.#inner.caller;
  }

  get method(): string {
    return this.#inner.method;
  }

  get left(): boolean {
    return this.#inner.left;
  }

  get protocols(): string | undefined {
    return this.#inner.protocols;
  }

  get record(): NonNullable<Exchange["record"]> | undefined {
    return this.#inner.record;
  }

  upstreamHeaders(call: CallHeaders): string[] {
    const headers = this.#inner.upstreamHeaders(call);
    this.#headers = headers;
    return headers;
  }

  open(call: OpenCall, readTimeoutMs: number | undefined): void {
    const send: OpenCall["send"] = (body) => {
      call.send(body);
      const isWhole = body === null || (Buffer.isBuffer(body) && body.length <= MAX_COPIED_BYTES);
      if (!isWhole || this.#isOver) return;
      // The call is on its way first.
      setImmediate(() => this.#options.sent({ headers: this.#headers, body: body as Buffer | null }));
    };
    const leave = () => {
      call.leave();
      this.#end(undefined);
    };
    this.#inner.open({ send, leave }, readTimeoutMs);
  }

  inform(status: number, headers: AnswerHeaders): void {
    this.#inner.inform(status, headers);
  }

  begin(status: number, reason: string | undefined, headers: AnswerHeaders): void {
    this.#inner.begin(status, reason, headers);
    this.#answer.begin(status);
  }

  switchProtocols(headers: AnswerHeaders, upstream: Duplex, closed: () => void): void {
    this.#end(undefined);
    this.#inner.switchProtocols(headers, upstream, closed);
  }

  data(piece: Buffer, flow: Flow): void {
    this.#inner.data(piece, flow);
    this.#answer.data(piece);
  }

  end(trailers?: [name: string, value: string][]): void {
    this.#inner.end(trailers);
    this.#end(() => this.#answer.end());
  }

  breakOff(): void {
    this.#inner.breakOff();
    this.#end(undefined);
  }

  refuse(answer: PlatformAnswer): void {
    this.#inner.refuse(answer);
    this.#end(undefined);
  }

  #end(digest: (() => AnswerDigest) | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.ended(digest);
  }
}

export interface CallCopyOptions extends CopiedRequest {
  readonly method: string;
  /** Counts the copy, in the place of its version's own. */
  readonly meter: FunctionMeter;
  readonly ended: (digest: AnswerDigest | undefined) => void;
}

/** A copy of a call: nobody gets its answer. */
export class CopyExchange implements Exchange {
  readonly method: string;
  readonly meter: FunctionMeter;
  readonly #options: CallCopyOptions;
  readonly #answer = new PassingAnswer();

  constructor(options: CallCopyOptions) {
    this.method = options.method;
    this.meter = options.meter;
    this.#options = options;
  }

  get caller(): undefined {
    return undefined;
  }

  get left(): boolean {
    return false;
  }

  get protocols(): undefined {
    return undefined;
  }

  upstreamHeaders(): string[] {
    return [...this.#options.headers, "X-Mirrored", "1"];
  }

  open(call: OpenCall): void {
    call.send(this.#options.body);
  }

  inform(): void {}

  begin(status: number): void {
    this.#answer.begin(status);
  }

  switchProtocols(): never {
    throw new Error("a copy offers no protocols");
  }

  data(piece: Buffer, flow: Flow): void {
    if (!this.#answer.data(piece)) flow.abort(new Error("the answer to a copy is too long to be compared"));
  }

  end(): void {
    this.#options.ended(this.#answer.end());
  }

  breakOff(): void {
    this.#options.ended(this.#answer.isTooLong ? this.#answer.end(false) : undefined);
  }

  refuse(): void {
    this.#options.ended(undefined);
  }
}
