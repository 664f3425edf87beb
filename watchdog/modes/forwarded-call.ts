import { type Agent, ClientRequest, type IncomingMessage, type InformationEvent, type RequestOptions } from "node:http";
import type { Socket } from "node:net";
import { CONTINUE_PATIENCE_MS, waitsForLeave } from "../../http/expect.ts";
import { isFinalStatus, MAX_INTERIM_ANSWERS, mayHaveBody, sendableReason } from "../../http/forwarding.ts";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../../http/platform-mark.ts";
import { isOffered } from "../../http/upgrade-rules.ts";
import type { PendingUpgrade } from "../../http/upgrades.ts";
import type { TrackedResponse } from "../tracked-response.ts";
import { buildResponseHeaders, passTrailers } from "./http-headers.ts";

/** What is the same for all calls. */
export interface ForwardContext {
  /** For a second try: its connections are new ones. */
  readonly freshAgent: Agent;
  readonly print: (message: string) => void;
}

/** The function's answer, which knows its call: its listeners are the same for all. */
interface Answer extends IncomingMessage {
  call: ForwardedCall;
}

/** Methods that may be sent again when a connection broke without an answer. @see RFC 9110 §9.2.2 */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS"]);

/** Servers read this much with a request's head, whether they want it or not. */
const READ_AT_ONCE_BYTES = 64 * 1024;

/**
 * One call on its way. It ends once, by whichever of the function, the caller and the clock comes first.
 * It is the request to the function itself, so that a call costs no objects and no listeners beside it.
 */
export class ForwardedCall extends ClientRequest {
  readonly #res: TrackedResponse;
  readonly #context: ForwardContext;
  readonly #options: RequestOptions;
  /** The caller asked for a stream. */
  readonly #streaming: boolean;
  #incoming: IncomingMessage | undefined;
  /** What it offers to go on with in the place of HTTP. */
  upgrade: PendingUpgrade | undefined;
  /** While the body is held back until the function wants it. */
  #patience: NodeJS.Timeout | undefined;
  #interimAnswers = 0;
  #repeatable = false;
  #piped = false;
  #over = false;

  constructor(res: TrackedResponse, options: RequestOptions, streaming: boolean, context: ForwardContext) {
    super(options);
    this.#res = res;
    this.#options = options;
    this.#streaming = streaming;
    this.#context = context;
    // Node drops headers past a count without a word; their size has a limit.
    this.maxHeadersCount = 0;
    res.upstream = this;
  }

  /** Sends a request whose body is at hand, or that has none. */
  send(body?: Buffer): void {
    this.#repeatable = body === undefined && REPEATABLE.has(this.#options.method as string);
    this.end(body);
  }

  /** Sends the request's body as it comes. */
  pipeBody(): void {
    const { req } = this.#res;
    this.#piped = true;
    if (req.headers.trailer !== undefined) req.once("end", () => passTrailers(req.rawTrailers, this));
    if (!waitsForLeave(req)) {
      req.pipe(this);
      return;
    }
    this.#patience = setTimeout(() => this.#sendBody(), CONTINUE_PATIENCE_MS);
    this.flushHeaders();
  }

  /** The function wants the body that its sender holds back, or says nothing. */
  #sendBody(): void {
    if (this.#patience === undefined) return;
    this.#holdBody();
    if (!this.#over && !this.destroyed) this.#res.req.pipe(this);
  }

  #holdBody(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  timeOut(): void {
    if (this.#over) return;
    this.#context.print("Upstream HTTP request ran out of time");
    this.#finish(504);
  }

  /** The connection to the caller has ended, or is done with the call. */
  callerLeft(): void {
    if (this.#over) return;
    this.#over = true;
    this.destroy();
  }

  /** Events that concern the call are taken here, without a listener for each. */
  override emit(event: string | symbol, first?: unknown, second?: unknown, third?: unknown): boolean {
    switch (event) {
      case "response":
        this.#answer(first as Answer);
        return true;
      case "continue":
        this.#sendBody();
        return true;
      case "close":
        this.#holdBody();
        return super.emit(event, first, second, third);
      case "information":
        this.#passInterim(first as InformationEvent);
        return true;
      case "upgrade":
        this.#switchProtocols(first as IncomingMessage, second as Socket, third as Buffer);
        return true;
      case "error":
        this.#fail(first as Error);
        return true;
      default:
        return super.emit(event, first, second, third);
    }
  }

  /** Without a listener Node would leave a connection that switches protocols to itself. */
  override listenerCount(event: string | symbol, listener?: (...parameters: unknown[]) => void): number {
    return event === "upgrade" ? 1 : super.listenerCount(event, listener);
  }

  #switchProtocols({ rawHeaders, headers }: IncomingMessage, socket: Socket, head: Buffer): void {
    const res = this.#res;
    const { upgrade: protocol } = headers;
    socket.on("error", () => {}); // Node has taken its listeners off
    try {
      if (this.#over) throw new Error("the caller has left");
      if (this.upgrade === undefined || protocol === undefined || !isOffered(protocol, this.upgrade.protocols)) {
        throw new Error("the function switched protocols, which nobody had asked for");
      }
      if (head.length > 0) socket.unshift(head);
      const { headers: kept } = buildResponseHeaders(rawHeaders, false, false);
      this.upgrade.switchTo([...kept, "Connection", "Upgrade", "Upgrade", protocol], socket);
    } catch (error) {
      socket.destroy();
      this.#fail(error as Error);
      return;
    }
    this.#over = true;
    res.onExpire = null; // it takes as long as the two sides want
  }

  #answer(incoming: Answer): void {
    const res = this.#res;
    const status = incoming.statusCode as number;
    if (this.#over || !isFinalStatus(status)) {
      this.#fail(new Error(`the function answered with status ${status}`));
      return;
    }
    this.#incoming = incoming;
    this.#holdBody();
    // What the function leaves unread would be the beginning of the next request on its connection.
    if (!this.writableFinished || this.#isUpload()) this.shouldKeepAlive = false;
    const canTrail = res.req.httpVersionMinor > 0 && res.req.method !== "HEAD";
    const { headers, hasLength } = buildResponseHeaders(incoming.rawHeaders, mayHaveBody(status), canTrail);
    if (!this.#streaming) headers.push("X-Duration-Seconds", res.durationSeconds());
    try {
      res.writeHead(status, sendableReason(incoming.statusMessage), headers);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    // A stream's first event may be long in coming; its headers are news by themselves.
    if (!hasLength) res.flushHeaders();
    incoming.call = this;
    incoming.on("data", onData);
    incoming.on("end", onEnd);
    incoming.on("error", onError);
  }

  /** Passes a piece of the answer on, at the caller's pace. */
  passData(incoming: IncomingMessage, chunk: Buffer): void {
    if (this.#over || this.#res.write(chunk)) return;
    incoming.pause();
    this.#res.once("drain", () => incoming.resume());
  }

  complete(incoming: IncomingMessage): void {
    if (this.#over) return;
    this.#over = true;
    if (incoming.rawTrailers.length > 0) passTrailers(incoming.rawTrailers, this.#res);
    if (!this.writableFinished) this.#dropRequest(); // nobody is going to read the rest of it
    this.#res.end();
  }

  /** The answer breaks off. */
  fail(error: Error): void {
    this.#fail(error);
  }

  #passInterim({ statusCode, headers }: InformationEvent): void {
    if (this.#over) return;
    this.#interimAnswers++;
    if (this.#interimAnswers > MAX_INTERIM_ANSWERS) {
      this.#fail(new Error(`the function gave more than ${MAX_INTERIM_ANSWERS} interim answers`));
      return;
    }
    const res = this.#res;
    if (res.headersSent || res.req.httpVersionMinor === 0) return;
    if (statusCode === 102) res.writeProcessing();
    if (statusCode !== 103) return;
    try {
      res.writeEarlyHints(headers as Record<string, string | string[]>);
    } catch {
      // A hint that is not one helps nobody; the answer is still to come.
    }
  }

  /** The function hung up, cannot be reached, or speaks no HTTP. */
  #fail(error: Error): void {
    if (this.#over || this.#endsInOrder()) return;
    if (this.#incoming === undefined && this.#repeatable && this.reusedSocket) {
      this.#sendAgain();
      return;
    }
    this.#context.print(`Upstream HTTP request error: ${error.message}`);
    this.#finish(this.#streaming ? 502 : 500);
  }

  /** What breaks behind a whole answer takes nothing from it. */
  #endsInOrder(): boolean {
    const incoming = this.#incoming;
    if (incoming === undefined || incoming.destroyed) return false;
    if (incoming.complete) return true;
    // Who refuses a body and closes cannot help that the rest of it resets the connection; the answer ends there.
    const { "content-length": length, "transfer-encoding": coding } = incoming.headers;
    return this.#piped && (incoming.statusCode as number) >= 400 && length === undefined && coding === undefined;
  }

  /** The function may answer without reading all of it, and that could not be seen from here. */
  #isUpload(): boolean {
    const length = this.#res.req.headers["content-length"];
    return this.#piped && (length === undefined || Number(length) > READ_AT_ONCE_BYTES);
  }

  /** The function had closed the connection before it saw the request. */
  #sendAgain(): void {
    this.#over = true;
    this.destroy();
    const options = { ...this.#options, agent: this.#context.freshAgent };
    new ForwardedCall(this.#res, options, this.#streaming, this.#context).end();
  }

  #finish(status: number): void {
    this.#over = true;
    const res = this.#res;
    this.#dropRequest();
    // A cut answer must look cut: ending it in good order would pass the part for the whole.
    if (res.headersSent) res.destroy();
    else answerFailure(res, status);
  }

  #dropRequest(): void {
    this.#res.req.unpipe(this);
    this.destroy();
  }
}

function onData(this: IncomingMessage, chunk: Buffer): void {
  (this as Answer).call.passData(this, chunk);
}

function onEnd(this: IncomingMessage): void {
  (this as Answer).call.complete(this);
}

function onError(this: IncomingMessage, error: Error): void {
  (this as Answer).call.fail(error);
}

/** An answer of the watchdog's own. */
export function answerFailure(res: TrackedResponse, status: number): void {
  res.writeHead(status, {
    "X-Duration-Seconds": res.durationSeconds(),
    [INTERNAL_HEADER]: INTERNAL_WATCHDOG,
    "Content-Length": 0,
  });
  res.end();
}
