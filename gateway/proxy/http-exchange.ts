import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { keepSessionApart, mentionsSession } from "../../contract/ui/session-cookie.ts";
import { giveTime } from "../../http/connections.ts";
import { waitsForLeave } from "../../http/expect.ts";
import { mayHaveBody, sendableReason } from "../../http/forwarding.ts";
import { BodyTurns } from "../../http/turn-share.ts";
import { type PendingUpgrade, upgradeOf } from "../../http/upgrades.ts";
import { AwaitedBody, CountedBody } from "./awaited-body.ts";
import type { AnswerHeaders, Exchange, Flow, OpenCall, PlatformAnswer } from "./exchange.ts";
import { buildUpstreamHeaders, type CallHeaders } from "./headers.ts";

/** Bodies up to this size are read before the call is sent: one write for undici, and nothing lost on a second try. */
const BUFFERED_BODY_BYTES = 64 * 1024;

/** Bodies of answers up to this size that come as one go out in one write with their head. */
const JOINED_BODY_BYTES = 16 * 1024;

const confined = new WeakSet<IncomingMessage>();

/** Has what a function answers confined, though the request has no cookie of a session. */
export function confineAnswer(req: IncomingMessage): void {
  confined.add(req);
}

/** A caller on the other end of a connection. */
export class HttpExchange implements Exchange {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #upgrade: PendingUpgrade | undefined;
  /** What the answer's body will have, if it says so. */
  #bytes = -1;
  /** Whether some of the answer's body, or its end, has been written. */
  #wrote = false;
  #turns: BodyTurns | undefined;

  constructor(req: IncomingMessage, res: ServerResponse) {
    this.#req = req;
    this.#res = res;
    this.#upgrade = upgradeOf(req);
  }

  get caller(): Exchange["caller"] {
    return { req: this.#req, res: this.#res };
  }

  get method(): string {
    return this.#req.method as string;
  }

  get left(): boolean {
    return this.#res.destroyed;
  }

  get protocols(): string | undefined {
    return this.#upgrade?.protocols;
  }

  /** Whether it wants to change the protocol, and as many as may do so already have. */
  get isOneTooMany(): boolean {
    return this.#upgrade?.full ?? false;
  }

  upstreamHeaders(call: CallHeaders): string[] {
    return buildUpstreamHeaders(this.#req, call);
  }

  open(call: OpenCall, readTimeoutMs: number | undefined): void {
    this.watch(call);
    const { "content-length": length, "transfer-encoding": encoding } = this.#req.headers;
    if (encoding === undefined && (length === undefined || length === "0")) call.send(null);
    else if (waitsForLeave(this.#req) || (encoding !== undefined && this.#req.headers.trailer !== undefined)) {
      if (readTimeoutMs !== undefined) giveTime(this.#req, readTimeoutMs);
      call.send(new AwaitedBody(this.#req));
    } else if (encoding === undefined && Number(length) <= BUFFERED_BODY_BYTES) this.#readBody(call);
    else {
      if (readTimeoutMs !== undefined) giveTime(this.#req, readTimeoutMs);
      call.send(this.#bodyStream());
    }
  }

  /** Tells `call` when the caller leaves before the answer is whole. */
  protected watch(call: OpenCall): void {
    this.#res.on("close", () => this.#closed(call));
  }

  #closed(call: OpenCall): void {
    if (!this.#res.writableFinished) call.leave();
  }

  /** A stream between: undici destroys a body that a function does not want, and the request with it its connection. */
  #bodyStream(): CountedBody {
    const body = new CountedBody();
    body.on("error", () => {}); // the code that destroys it fails the call itself
    return this.#req.pipe(body);
  }

  #readBody(call: OpenCall): void {
    const chunks: Buffer[] = [];
    this.#req.on("data", (chunk: Buffer) => chunks.push(chunk));
    this.#req.on("end", () => call.send(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    // A caller that leaves while sending closes the response too, which ends the call.
    this.#req.on("error", () => this.#closed(call));
  }

  inform(status: number, headers: AnswerHeaders): void {
    const res = this.#res;
    if (res.headersSent || res.destroyed || this.#req.httpVersionMinor === 0) return;
    try {
      res.writeInformation(status, headers);
    } catch {
      // A character that no header may hold; it was a hint only.
    }
  }

  begin(status: number, reason: string | undefined, headers: AnswerHeaders): void {
    const res = this.#res;
    if (headers.trailer !== undefined && !this.#trails(status, headers)) delete headers.trailer;
    this.#keepSessionApart(headers);
    const sendable = sendableReason(reason);
    if (sendable === undefined) res.writeHead(status, headers);
    else res.writeHead(status, sendable, headers);
    const length = headers["content-length"];
    // A stream's first piece may be long in coming; its reader wants to know that it is connected. If the piece is there
    // already, it goes out in one write with the head.
    if (length === undefined) process.nextTick(flushHead, this);
    else this.#bytes = Number(length);
  }

  /** Sends the head if nothing has been sent with it. */
  flush(): void {
    if (!this.#wrote && !this.#res.destroyed) this.#res.flushHeaders();
  }

  switchProtocols(headers: AnswerHeaders, upstream: Duplex, closed: () => void): void {
    this.#keepSessionApart(headers);
    this.#upgrade?.switchTo(headers, upstream, closed);
  }

  #keepSessionApart(headers: AnswerHeaders): void {
    const { cookie, "sec-fetch-site": site } = this.#req.headers;
    const isConfined = mentionsSession(cookie) || (site === "cross-site" && confined.has(this.#req));
    if (isConfined || headers["set-cookie"] !== undefined) keepSessionApart(headers, isConfined);
  }

  /** Trailers follow the chunks of a body that has no length. */
  #trails(status: number, headers: AnswerHeaders): boolean {
    const { httpVersionMinor, method } = this.#req;
    return httpVersionMinor > 0 && method !== "HEAD" && headers["content-length"] === undefined && mayHaveBody(status);
  }

  data(piece: Buffer, flow: Flow): void {
    this.#wrote = true;
    if (piece.length === this.#bytes && piece.length <= JOINED_BODY_BYTES) {
      // As text it becomes one string with its head.
      this.#res.end(piece.toString("latin1"), "latin1");
      return;
    }
    if (!this.#res.write(piece)) {
      flow.pause();
      this.#res.once("drain", () => flow.resume());
      return;
    }
    this.#turns ??= new BodyTurns();
    if (this.#turns.take(piece.length)) return;
    flow.pause();
    this.#turns.wait(() => flow.resume());
  }

  end(trailers?: [name: string, value: string][]): void {
    this.#wrote = true;
    if (this.#res.writableEnded) return;
    if (trailers) this.#addTrailers(trailers);
    this.#res.end();
  }

  #addTrailers(trailers: [name: string, value: string][]): void {
    try {
      this.#res.addTrailers(trailers);
    } catch {
      // A character that no header may hold. The body, which is what matters, is whole.
    }
  }

  breakOff(): void {
    // What has begun is told: the head may wait for the first piece still, and both for the end of this turn.
    this.flush();
    this.#res.socket?.uncork();
    this.#res.destroy();
  }

  refuse(answer: PlatformAnswer): void {
    writeAnswer(this.#res, answer);
  }
}

function flushHead(exchange: HttpExchange): void {
  exchange.flush();
}

export function writeAnswer(res: ServerResponse, { status, headers, text }: PlatformAnswer): void {
  res.statusMessage = ""; // perhaps of an answer that could not be passed on
  res.writeHead(status, headers).end(text);
}
