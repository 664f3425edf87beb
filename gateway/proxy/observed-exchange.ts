import type { Duplex } from "node:stream";
import { ERROR_HEADER } from "../../contract/error-codes.ts";
import type { CallObserver, ObservedCall } from "../telemetry/call-record.ts";
import { CountedBody } from "./awaited-body.ts";
import type { AnswerHeaders, Exchange, Flow, OpenCall, PlatformAnswer } from "./exchange.ts";
import { type CallHeaders, SWITCHING_PROTOCOLS } from "./headers.ts";

/** nginx's code for a caller that left; nobody receives it. */
const CALLER_LEFT = 499;

/** An exchange that tells what goes through it. Where nobody wants to know there is none. */
export class ObservedExchange implements Exchange {
  readonly record: ObservedCall;
  readonly #observer: CallObserver;
  #inner: Exchange;
  #body: CountedBody | undefined;

  constructor(inner: Exchange, record: ObservedCall, observer: CallObserver) {
    this.#inner = inner;
    this.record = record;
    this.#observer = observer;
    inner.caller?.res.once("close", () => this.#leave());
  }

  /** Goes on with another in the place of the one that it is around. */
  around(inner: Exchange): this {
    this.#inner = inner;
    return this;
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

  upstreamHeaders(call: CallHeaders): string[] {
    this.record.callId = call.callId;
    const headers = this.#observer.upstreamHeaders(this.record, this.#inner.upstreamHeaders(call));
    this.record.requestHeaders = headers;
    return headers;
  }

  open(call: OpenCall, readTimeoutMs: number | undefined): void {
    const send: OpenCall["send"] = (body) => {
      if (Buffer.isBuffer(body)) this.record.bytesIn = body.length;
      else if (body instanceof CountedBody) this.#body = body;
      call.send(body);
    };
    const leave = () => {
      call.leave();
      this.#leave();
    };
    this.#inner.open({ send, leave }, readTimeoutMs);
  }

  inform(status: number, headers: AnswerHeaders): void {
    this.#inner.inform(status, headers);
  }

  begin(status: number, reason: string | undefined, headers: AnswerHeaders): void {
    this.#answered(status, headers);
    this.record.firstByteAt = performance.now();
    this.#inner.begin(status, reason, headers);
  }

  switchProtocols(headers: AnswerHeaders, upstream: Duplex, closed: () => void): void {
    const before = bytesOf(upstream);
    this.#inner.switchProtocols(headers, upstream, () => {
      const after = bytesOf(upstream);
      this.record.bytesIn = after.written - before.written;
      this.record.bytesOut = after.read - before.read;
      this.#end();
      closed();
    });
    this.#answered(SWITCHING_PROTOCOLS, headers);
    this.record.firstByteAt = performance.now();
  }

  data(piece: Buffer, flow: Flow): void {
    this.record.bytesOut += piece.length;
    this.#inner.data(piece, flow);
  }

  end(trailers?: [name: string, value: string][]): void {
    this.#end();
    this.#inner.end(trailers);
  }

  breakOff(): void {
    this.record.broken = true;
    this.#end();
    this.#inner.breakOff();
  }

  refuse(answer: PlatformAnswer): void {
    const { record } = this;
    record.callId ??= answer.headers["x-call-id"];
    this.#answered(answer.status, answer.headers);
    record.firstByteAt = undefined;
    record.bytesOut = Buffer.byteLength(answer.text);
    this.#end();
    this.#inner.refuse(answer);
  }

  #answered(status: number, headers: Readonly<Record<string, string | string[]>>): void {
    const code = headers[ERROR_HEADER];
    this.record.status = status;
    this.record.answerHeaders = headers;
    this.record.errorCode = typeof code === "string" ? code : undefined;
  }

  /** Whoever asked has gone before the answer was whole, if it was not. */
  #leave(): void {
    if (this.record.endedAt !== undefined) return;
    // The end of a connection that has changed its protocol is that of its call.
    if (this.record.status === SWITCHING_PROTOCOLS) return;
    this.record.status = CALLER_LEFT;
    this.#end();
  }

  #end(): void {
    const { record } = this;
    if (record.endedAt !== undefined) return;
    if (this.#body) record.bytesIn = this.#body.bytes;
    record.endedAt = performance.now();
    this.#observer.end(record);
  }
}

/** What has gone through a connection. */
function bytesOf(connection: Duplex): { readonly read: number; readonly written: number } {
  const { bytesRead = 0, bytesWritten = 0 } = connection as { bytesRead?: number; bytesWritten?: number };
  return { read: bytesRead, written: bytesWritten };
}
