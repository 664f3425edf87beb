import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { readBody } from "../body.ts";
import type { Deadlines } from "../deadlines.ts";
import type { Exchange } from "../exchange.ts";
import { parseDuration, type Upstream } from "../parse.ts";
import { buildRequestHeaders, buildResponseHeaders, wantsStream } from "./http-headers.ts";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "./mode.ts";

export interface HttpProxyDeps {
  readonly upstream: Upstream;
  readonly deadlines: Deadlines;
  readonly print: (message: string) => void;
  /** Time limit of one call in milliseconds, 0 for none. Streams only know the second one. */
  readonly execTimeoutMs: number;
  readonly writeTimeoutMs: number;
  /** Read requests whole before the function sees them. */
  readonly bufferBody: boolean;
  readonly maxBodyBytes: number;
}

/** Idle connections to the function end soon: sooner than any server's own idle limit, which would race the next call. */
const IDLE_UPSTREAM_MS = 500;

/** Forwards calls to the function's own server. */
export class HttpProxy {
  readonly #deps: HttpProxyDeps;
  readonly #agent = new Agent({ keepAlive: true, scheduling: "lifo", timeout: IDLE_UPSTREAM_MS });

  constructor(deps: HttpProxyDeps) {
    this.#deps = deps;
  }

  close(): void {
    this.#agent.destroy();
  }

  handle(req: IncomingMessage, res: Exchange): void {
    if (!this.#deps.bufferBody) {
      this.#forward(req, res, undefined);
      return;
    }
    readBody(req, this.#deps.maxBodyBytes).then(
      (read) => {
        if (read.kind === "read") this.#forward(req, res, read.body);
        else if (read.kind === "tooLarge") answerFailure(res, 413);
      },
      (error: Error) => this.#deps.print(`Reading the request: ${error.message}`),
    );
  }

  #forward(req: IncomingMessage, res: Exchange, body: Buffer | undefined): void {
    const { upstream, deadlines } = this.#deps;
    const method = req.method as string;
    const streaming = wantsStream(req.headers.accept);
    const { headers, hasBody } = buildRequestHeaders(req.rawHeaders, method);
    if (body !== undefined && body.length > 0) setLength(headers, body.length);
    const outgoing = request({
      host: upstream.host,
      port: upstream.port,
      method,
      path: upstream.prefix + (req.url as string),
      headers,
      agent: this.#agent,
      setHost: false,
    });
    const call = new ForwardedCall(res, outgoing, streaming, this.#deps.print);
    res.onExpire = () => call.timeOut();
    deadlines.start(res, this.#limitMs(req, streaming), res.startedAt);
    res.once("close", () => call.callerLeft());
    outgoing.once("response", (incoming) => call.answer(incoming));
    outgoing.on("error", (error) => call.fail(error));
    if (body !== undefined) outgoing.end(body);
    else if (hasBody) req.pipe(outgoing);
    else outgoing.end();
  }

  #limitMs(req: IncomingMessage, streaming: boolean): number {
    const { execTimeoutMs, writeTimeoutMs } = this.#deps;
    if (streaming || execTimeoutMs === 0) return writeTimeoutMs;
    return Math.min(callerTimeoutMs(req.headers["x-timeout"], execTimeoutMs), writeTimeoutMs);
  }
}

/** `X-Timeout` may shorten the limit; what would lengthen it or says nothing is ignored. Whole milliseconds. */
export function callerTimeoutMs(header: string | string[] | undefined, execTimeoutMs: number): number {
  if (typeof header !== "string") return execTimeoutMs;
  let ms: number;
  try {
    ms = Math.ceil(parseDuration(header));
  } catch {
    return execTimeoutMs; // malformed: the contract says to ignore it
  }
  return ms > 0 && ms <= execTimeoutMs ? ms : execTimeoutMs;
}

/** One call on its way. It ends once, by whichever of the function, the caller and the clock comes first. */
class ForwardedCall {
  readonly #res: Exchange;
  readonly #outgoing: ClientRequest;
  readonly #streaming: boolean;
  readonly #print: (message: string) => void;
  #over = false;

  constructor(res: Exchange, outgoing: ClientRequest, streaming: boolean, print: (message: string) => void) {
    this.#res = res;
    this.#outgoing = outgoing;
    this.#streaming = streaming;
    this.#print = print;
  }

  answer(incoming: IncomingMessage): void {
    const res = this.#res;
    const { headers, hasLength } = buildResponseHeaders(incoming.rawHeaders);
    if (!this.#streaming) headers.push("X-Duration-Seconds", res.durationSeconds());
    res.writeHead(incoming.statusCode as number, incoming.statusMessage, headers);
    // A stream's first event may be long in coming; its headers are news by themselves.
    if (!hasLength) res.flushHeaders();
    incoming.on("error", (error) => this.fail(error));
    incoming.once("end", () => {
      this.#over = true;
    });
    incoming.pipe(res);
  }

  /** The function hung up, or cannot be reached. */
  fail(error: Error): void {
    if (this.#over) return;
    this.#print(`Upstream HTTP request error: ${error.message}`);
    this.#end(this.#streaming ? 502 : 500);
  }

  timeOut(): void {
    if (this.#over) return;
    this.#print("Upstream HTTP request ran out of time");
    this.#end(504);
  }

  callerLeft(): void {
    if (this.#over) return;
    this.#over = true;
    this.#outgoing.destroy();
  }

  #end(status: number): void {
    this.#over = true;
    const res = this.#res;
    res.req.unpipe(this.#outgoing);
    this.#outgoing.destroy();
    // A cut answer must look cut: ending it in good order would pass the part for the whole.
    if (res.headersSent) res.destroy();
    else answerFailure(res, status);
  }
}

function answerFailure(res: Exchange, status: number): void {
  res.writeHead(status, {
    "X-Duration-Seconds": res.durationSeconds(),
    [INTERNAL_HEADER]: INTERNAL_WATCHDOG,
    "Content-Length": 0,
  });
  res.end();
}

/** Replaces whatever framing the caller used. */
function setLength(headers: string[], length: number): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    const name = (headers[i] as string).toLowerCase();
    if (name === "content-length" || name === "transfer-encoding") headers.splice(i, 2);
  }
  headers.push("Content-Length", String(length));
}
