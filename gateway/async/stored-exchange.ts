import type { AnswerHeaders, Exchange, Flow, OpenCall, PlatformAnswer } from "../proxy/exchange.ts";
import { buildUpstreamHeaders, type CallHeaders } from "../proxy/headers.ts";
import type { QueuedCall } from "../queue/queue.ts";
import { AnswerCollector } from "./answer-collector.ts";
import { type Answer, platformAnswer } from "./function-caller.ts";
import { buildCallHeaders } from "./headers.ts";
import type { ResultLimits } from "./result.ts";

/** What `X-Forwarded-For` names as the last one to pass the call on: the worker, which is this process. */
const WORKER = { remoteAddress: "127.0.0.1" } as const;
const NO_CONNECTION = {} as const;

/** A stored call, for which its answer is gathered. */
export class StoredExchange implements Exchange {
  readonly #stored: QueuedCall;
  readonly #userAgent: string;
  readonly #signal: AbortSignal;
  readonly #collector: AnswerCollector;
  #call: OpenCall | undefined;

  /** @param signal must not be aborted yet */
  constructor(stored: QueuedCall, userAgent: string, keep: ResultLimits | undefined, signal: AbortSignal) {
    this.#stored = stored;
    this.#userAgent = userAgent;
    this.#signal = signal;
    this.#collector = new AnswerCollector(keep);
    signal.addEventListener("abort", this);
  }

  /** Rejects with the reason of the signal when that aborts. */
  get answer(): Promise<Answer> {
    return this.#collector.answer;
  }

  get method(): string {
    return this.#stored.method;
  }

  get contentType(): string | undefined {
    return this.#stored.headers.find(([name]) => name.toLowerCase() === "content-type")?.[1];
  }

  get left(): boolean {
    return this.#collector.over;
  }

  upstreamHeaders(call: CallHeaders): string[] {
    const rawHeaders = buildCallHeaders(this.#stored, this.#userAgent);
    return buildUpstreamHeaders({ rawHeaders, headers: NO_CONNECTION, socket: WORKER }, call);
  }

  open(call: OpenCall): void {
    this.#call = call;
    const { body } = this.#stored;
    call.send(body.byteLength === 0 ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength));
  }

  begin(status: number, _reason: string | undefined, headers: AnswerHeaders): void {
    // As a server adds it. RFC 9110 §6.6.1
    headers.date ??= new Date().toUTCString();
    this.#collector.begin(status, headers);
  }

  data(piece: Buffer, flow: Flow): void {
    this.#collector.data(piece, flow);
  }

  end(): void {
    this.#forget();
    this.#collector.end();
  }

  breakOff(): void {
    this.#forget();
    this.#collector.settle(platformAnswer(502));
  }

  refuse({ status, headers, text }: PlatformAnswer): void {
    this.begin(status, undefined, { ...headers });
    this.#collector.data(Buffer.from(text), NEVER_HELD_UP);
    this.end();
  }

  /** Its time is over; the function's connection is closed. */
  expire(): void {
    this.#leave(504);
  }

  /** Whoever makes the call stops; the function's connection is closed. */
  cut(): void {
    this.#leave(502);
  }

  #leave(status: 502 | 504): void {
    this.#forget();
    this.#collector.settle(platformAnswer(status));
    this.#call?.leave();
  }

  /** Nobody wants the answer any more, for whatever reason the signal gives. */
  handleEvent(): void {
    this.#collector.fail(this.#signal.reason);
    this.#call?.leave();
  }

  #forget(): void {
    this.#signal.removeEventListener("abort", this);
  }
}

/** For a piece that is the last. */
const NEVER_HELD_UP: Flow = { pause: () => {}, resume: () => {} };
