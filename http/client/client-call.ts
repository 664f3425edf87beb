import type { AnswerFields } from "./answer-head.ts";
import type { WholeRequest } from "./request-head.ts";

/** What can be done to an answer that comes. */
export interface AnswerControl {
  pause(): void;
  resume(): void;
  /** Nothing more of it is wanted. The handler is told so at once, with that reason. */
  abort(reason: Error): void;
}

/** Who wants an answer. Either {@link onResponseEnd} or {@link onResponseError} is the last that it is told. */
export interface AnswerHandler {
  /** A connection has been found; when this returns, the request is sent. */
  onRequestStart(control: AnswerControl): void;
  /** An interim answer, or the beginning of the final one. */
  onResponseStart(control: AnswerControl, status: number, fields: AnswerFields, reason: string): void;
  /** @param piece may be kept */
  onResponseData(control: AnswerControl, piece: Buffer): void;
  onResponseEnd(control: AnswerControl, trailers: AnswerFields): void;
  /** @param control absent when the request was never given to a connection */
  onResponseError(control: AnswerControl | undefined, error: Error): void;
}

/** What carries a call, while one does. */
export interface Carrier {
  pause(): void;
  resume(): void;
  /** The call is not to go on. */
  drop(): void;
}

/** One request and who waits for its answer. */
export class ClientCall implements AnswerControl {
  readonly request: WholeRequest;
  readonly head: string;
  readonly handler: AnswerHandler;
  /** Longest wait for the head of the answer, and between two pieces of its body; 0 for no limit. */
  readonly timeoutMs: number;
  #carrier: Carrier | undefined;
  #started = false;
  #over = false;

  constructor(request: WholeRequest, head: string, handler: AnswerHandler, timeoutMs: number) {
    this.request = request;
    this.head = head;
    this.handler = handler;
    this.timeoutMs = timeoutMs;
  }

  /** @returns whether it is to be sent still */
  start(carrier: Carrier): boolean {
    this.#started = true;
    this.handler.onRequestStart(this);
    if (this.#over) return false;
    this.#carrier = carrier;
    return true;
  }

  end(trailers: AnswerFields): void {
    if (this.#over) return;
    this.#over = true;
    this.#carrier = undefined;
    this.handler.onResponseEnd(this, trailers);
  }

  fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#carrier = undefined;
    this.handler.onResponseError(this.#started ? this : undefined, error);
  }

  pause(): void {
    this.#carrier?.pause();
  }

  resume(): void {
    this.#carrier?.resume();
  }

  abort(reason: Error): void {
    const carrier = this.#carrier;
    this.fail(reason);
    carrier?.drop();
  }
}
