import type { RequestOptions } from "node:http";
import { type Agent, type ClientRequest, type IncomingMessage, type InformationEvent, request } from "node:http";
import { isFinalStatus, MAX_INTERIM_ANSWERS, mayHaveBody, sendableReason } from "../../http/forwarding.ts";
import type { Exchange } from "../exchange.ts";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../platform-mark.ts";
import { buildResponseHeaders, passTrailers } from "./http-headers.ts";

export interface CallPlan {
  readonly options: RequestOptions;
  /** For a second try. */
  readonly freshAgent: Agent;
  /** The caller asked for a stream. */
  readonly streaming: boolean;
  readonly print: (message: string) => void;
}

/** Methods that may be sent again when a connection broke without an answer. @see RFC 9110 §9.2.2 */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS"]);

/** Servers read this much with a request's head, whether they want it or not. */
const READ_AT_ONCE_BYTES = 64 * 1024;

/** One call on its way. It ends once, by whichever of the function, the caller and the clock comes first. */
export class ForwardedCall {
  readonly #res: Exchange;
  readonly #plan: CallPlan;
  #outgoing: ClientRequest;
  #incoming: IncomingMessage | undefined;
  #interimAnswers = 0;
  #repeatable = false;
  #piped = false;
  #over = false;

  constructor(res: Exchange, plan: CallPlan) {
    this.#res = res;
    this.#plan = plan;
    this.#outgoing = this.#open(plan.options);
  }

  /** Sends a request whose body is at hand, or that has none. */
  send(body?: Buffer): void {
    this.#repeatable = body === undefined && REPEATABLE.has(this.#plan.options.method as string);
    this.#outgoing.end(body);
  }

  /** Sends the request's body as it comes. */
  pipe(): void {
    const { req } = this.#res;
    const outgoing = this.#outgoing;
    this.#piped = true;
    if (req.headers.trailer !== undefined) {
      req.once("end", () => passTrailers(req.rawTrailers, outgoing));
    }
    req.pipe(outgoing);
  }

  timeOut(): void {
    if (this.#over) return;
    this.#plan.print("Upstream HTTP request ran out of time");
    this.#end(504);
  }

  callerLeft(): void {
    if (this.#over) return;
    this.#over = true;
    this.#outgoing.destroy();
  }

  #open(options: RequestOptions): ClientRequest {
    const outgoing = request(options);
    // Node drops headers past a count without a word; their size has a limit.
    outgoing.maxHeadersCount = 0;
    return outgoing
      .on("information", (information) => this.#passInterim(information))
      .once("response", (incoming) => this.#answer(incoming))
      .once("upgrade", (_incoming, socket) => {
        socket.destroy();
        this.#fail(new Error("the function switched protocols, which nobody had asked for"));
      })
      .on("error", (error) => this.#fail(error));
  }

  #answer(incoming: IncomingMessage): void {
    const res = this.#res;
    const status = incoming.statusCode as number;
    if (!isFinalStatus(status)) {
      this.#fail(new Error(`the function answered with status ${status}`));
      return;
    }
    this.#incoming = incoming;
    // What the function leaves unread would be the beginning of the next request on its connection.
    if (!this.#outgoing.writableFinished || this.#isUpload()) this.#outgoing.shouldKeepAlive = false;
    const canTrail = res.req.httpVersionMinor > 0 && res.req.method !== "HEAD";
    const { headers, hasLength } = buildResponseHeaders(incoming.rawHeaders, mayHaveBody(status), canTrail);
    if (!this.#plan.streaming) headers.push("X-Duration-Seconds", res.durationSeconds());
    try {
      res.writeHead(status, sendableReason(incoming.statusMessage), headers);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    // A stream's first event may be long in coming; its headers are news by themselves.
    if (!hasLength) res.flushHeaders();
    incoming.on("error", (error) => this.#fail(error));
    incoming.once("end", () => this.#complete(incoming));
    incoming.pipe(res);
  }

  /** The last listener of the answer's end before the pipe's own, which ends ours. */
  #complete(incoming: IncomingMessage): void {
    if (this.#over) return;
    this.#over = true;
    if (incoming.rawTrailers.length > 0) passTrailers(incoming.rawTrailers, this.#res);
    if (!this.#outgoing.writableFinished) this.#dropRequest(); // nobody is going to read the rest of it
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
    if (this.#incoming === undefined && this.#repeatable && this.#outgoing.reusedSocket) {
      this.#sendAgain();
      return;
    }
    this.#plan.print(`Upstream HTTP request error: ${error.message}`);
    this.#end(this.#plan.streaming ? 502 : 500);
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
    this.#repeatable = false;
    this.#outgoing.destroy();
    this.#outgoing = this.#open({ ...this.#plan.options, agent: this.#plan.freshAgent });
    this.#outgoing.end();
  }

  #end(status: number): void {
    this.#over = true;
    const res = this.#res;
    this.#dropRequest();
    // A cut answer must look cut: ending it in good order would pass the part for the whole.
    if (res.headersSent) res.destroy();
    else answerFailure(res, status);
  }

  #dropRequest(): void {
    this.#res.req.unpipe(this.#outgoing);
    this.#outgoing.destroy();
  }
}

/** An answer of the watchdog's own. */
export function answerFailure(res: Exchange, status: number): void {
  res.writeHead(status, {
    "X-Duration-Seconds": res.durationSeconds(),
    [INTERNAL_HEADER]: INTERNAL_WATCHDOG,
    "Content-Length": 0,
  });
  res.end();
}
