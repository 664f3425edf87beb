import { INTERNAL_KEY } from "../../../http/platform-mark.ts";
import { type CallAnswer, platformAnswer, type ResponseHeaders } from "../function-caller.ts";
import { AnswerBuffer, NO_RESULT, type ResultLimits } from "../result.ts";
import type { MicroBatch } from "./micro-batch.ts";

interface Flow {
  pause(): void;
  resume(): void;
}

export interface AnswerCollectorOptions {
  /** How much of the body is wanted; undefined for nothing. */
  readonly keep: ResultLimits | undefined;
  /** Must not have aborted yet. */
  readonly signal: AbortSignal;
  /** Whole answers are reported when it ends. */
  readonly microBatch: MicroBatch;
  /** Called when nobody waits for the answer any more, to close the connection that it comes on. */
  readonly leave: () => void;
}

/** Gathers one answer: its head, and as much of its body as is wanted. The first end counts; what comes later is ignored. */
export class AnswerCollector {
  /** Rejects with the reason of the signal when that aborts first. */
  readonly answer: Promise<CallAnswer>;
  readonly #resolve: (answer: CallAnswer) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #options: AnswerCollectorOptions;
  readonly #buffer: AnswerBuffer | undefined;
  #status = 0;
  #headers: ResponseHeaders = {};
  /** Until the piece before has been stored; undefined in the usual case that it lies in memory. */
  #storing: Promise<void> | undefined;
  #over = false;
  #whole: CallAnswer | undefined;

  constructor(options: AnswerCollectorOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<CallAnswer>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#options = options;
    this.#buffer = options.keep && new AnswerBuffer(options.keep);
    options.signal.addEventListener("abort", this);
  }

  /** Whether the answer has come to an end, whole or not. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether the answer's head is there. */
  get begun(): boolean {
    return this.#status !== 0;
  }

  begin(status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  data(piece: Buffer, flow: Flow): void {
    const buffer = this.#buffer;
    // All of it is read, also what is not wanted: who stops reading cancels the function. undici begins anew after a pause
    // with an empty piece; to pause for that one would be for ever.
    if (!buffer || this.#over || piece.length === 0) return;
    const before = this.#storing;
    const storing = before ? before.then(() => buffer.add(piece)) : buffer.add(piece);
    if (!storing) return;
    flow.pause();
    const stored = storing.then(
      () => {
        if (this.#storing === stored) this.#storing = undefined;
        flow.resume();
      },
      () => {
        this.settle(platformAnswer(502));
        flow.resume();
      },
    );
    this.#storing = stored;
  }

  /** The answer is whole. */
  end(): void {
    if (this.#storing) void this.#storing.then(() => this.end());
    else if (this.#finish()) {
      const headers = this.#headers;
      const result = this.#buffer?.finish() ?? NO_RESULT;
      this.#whole = { kind: "answered", status: this.#status, internal: INTERNAL_KEY in headers, headers, result };
      this.#options.microBatch.add(this);
    }
  }

  /** For the turn to call. */
  resume(): void {
    if (this.#whole) this.#resolve(this.#whole);
  }

  /** Another answer takes the place of the one that was coming. */
  settle(answer: CallAnswer): void {
    if (!this.#finish()) return;
    this.#discard();
    this.#resolve(answer);
  }

  /** The platform gives up waiting. */
  cut(status: 502 | 504): void {
    this.settle(platformAnswer(status));
    this.#options.leave();
  }

  /** The signal has aborted. */
  handleEvent(): void {
    const { signal, leave } = this.#options;
    if (!this.#finish()) return;
    this.#discard();
    this.#reject(signal.reason);
    leave();
  }

  /** @returns whether it had not come to an end before */
  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#options.signal.removeEventListener("abort", this);
    return true;
  }

  #discard(): void {
    const buffer = this.#buffer;
    // What cannot be closed is the system's to close, when the process ends.
    if (buffer) void (this.#storing ?? Promise.resolve()).then(() => buffer.discard()).catch(() => undefined);
  }
}
