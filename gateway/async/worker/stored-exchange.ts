import type { AnswerHeaders, Exchange, Flow, OpenCall, PlatformAnswer } from "../../proxy/exchange.ts";
import { buildUpstreamHeaders, type CallHeaders } from "../../proxy/headers.ts";
import type { QueuedCall } from "../../queue/queue.ts";
import { platformAnswer } from "../function-caller.ts";
import { buildCallHeaders } from "../headers.ts";
import { AnswerCollector, type AnswerCollectorOptions } from "./answer-collector.ts";

/** What `X-Forwarded-For` names as the last one to pass the call on: the worker, which is this process. */
const WORKER = { remoteAddress: "127.0.0.1" } as const;
const NO_CONNECTION = {} as const;
/** For a piece that is the last. */
const NEVER_HELD_UP: Flow = { pause: () => {}, resume: () => {}, abort: () => {} };

/** A stored call, for which its answer is gathered. */
export class StoredExchange implements Exchange {
  readonly collector: AnswerCollector;
  readonly #stored: QueuedCall;
  readonly #userAgent: string;
  #call: OpenCall | undefined;

  /** @param userAgent for calls whose caller gave none */
  constructor(stored: QueuedCall, userAgent: string, options: Omit<AnswerCollectorOptions, "leave">) {
    this.#stored = stored;
    this.#userAgent = userAgent;
    this.collector = new AnswerCollector({ ...options, leave: () => this.#call?.leave() });
  }

  /** Its caller was looked at when the call was accepted. */
  get caller(): undefined {
    return undefined;
  }

  get method(): string {
    return this.#stored.method;
  }

  get left(): boolean {
    return this.collector.over;
  }

  /** There is no connection that could go on with another. */
  get protocols(): undefined {
    return undefined;
  }

  switchProtocols(): never {
    throw new Error("a stored call offers no protocols");
  }

  upstreamHeaders(call: CallHeaders): string[] {
    const rawHeaders = buildCallHeaders(this.#stored, this.#userAgent);
    return buildUpstreamHeaders({ rawHeaders, headers: NO_CONNECTION, socket: WORKER }, call, true);
  }

  open(call: OpenCall): void {
    this.#call = call;
    const { body } = this.#stored;
    call.send(body.byteLength === 0 ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength));
  }

  /** Nobody is there to hear of it. */
  inform(): void {}

  begin(status: number, _reason: string | undefined, headers: AnswerHeaders): void {
    delete headers.trailer; // none are kept
    // As a server adds it. RFC 9110 §6.6.1
    headers.date ??= new Date().toUTCString();
    this.collector.begin(status, headers);
  }

  data(piece: Buffer, flow: Flow): void {
    this.collector.data(piece, flow);
  }

  end(): void {
    this.collector.end();
  }

  breakOff(): void {
    this.collector.settle(platformAnswer(502));
  }

  refuse({ status, headers, text }: PlatformAnswer): void {
    this.begin(status, undefined, { ...headers });
    this.collector.data(Buffer.from(text), NEVER_HELD_UP);
    this.collector.end();
  }
}
