import { INTERNAL_HEADER } from "../../provider/contract/paths.ts";
import { type Answer, platformAnswer, type ResponseHeaders } from "./function-caller.ts";
import { NO_RESULT, ResultKeeper, type ResultLimits } from "./result.ts";

interface Flow {
  pause(): void;
  resume(): void;
}

/** Gathers one answer: its head, and as much of its body as is wanted. The first end counts; what comes later is ignored. */
export class AnswerCollector {
  readonly answer: Promise<Answer>;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #keeper: ResultKeeper | undefined;
  #status = 0;
  #headers: ResponseHeaders = {};
  /** Until the piece before has been stored; undefined in the usual case that it lies in memory. */
  #storing: Promise<void> | undefined;
  #over = false;

  /** @param keep how much of the body is wanted; undefined for nothing */
  constructor(keep: ResultLimits | undefined) {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#keeper = keep && new ResultKeeper(keep);
  }

  /** Whether the answer has come to an end, whole or not. */
  get over(): boolean {
    return this.#over;
  }

  begin(status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  data(piece: Buffer, flow: Flow): void {
    const keeper = this.#keeper;
    // All of it is read, also what is not wanted: who stops reading cancels the function. undici begins anew after a pause
    // with an empty piece; to pause for that one would be for ever.
    if (!keeper || this.#over || piece.length === 0) return;
    const before = this.#storing;
    const storing = before ? before.then(() => keeper.add(piece)) : keeper.add(piece);
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

  end(): void {
    if (this.#storing) void this.#storing.then(() => this.end());
    else if (!this.#over) {
      this.#over = true;
      const headers = this.#headers;
      const result = this.#keeper?.finish() ?? NO_RESULT;
      this.#resolve({ kind: "answered", status: this.#status, internal: INTERNAL_HEADER in headers, headers, result });
    }
  }

  /** Ends it with another answer than the one that was coming. */
  settle(answer: Answer): void {
    if (this.#giveUp()) this.#resolve(answer);
  }

  fail(reason: unknown): void {
    if (this.#giveUp()) this.#reject(reason);
  }

  #giveUp(): boolean {
    if (this.#over) return false;
    this.#over = true;
    const keeper = this.#keeper;
    // What cannot be closed is the system's to close, when the process ends.
    if (keeper) void (this.#storing ?? Promise.resolve()).then(() => keeper.discard()).catch(() => undefined);
    return true;
  }
}
