import type { IncomingMessage } from "node:http";
import { waitsForLeave } from "../../http/expect.ts";
import { MAX_ANSWER_HEAD_BYTES } from "../../http/forwarding.ts";
import { upgradeOf } from "../../http/upgrades.ts";
import { readBody } from "../body.ts";
import type { Deadlines } from "../deadlines.ts";
import { failCall } from "../fail-call.ts";
import { parseDuration, type Upstream } from "../parse.ts";
import type { TrackedResponse } from "../tracked-response.ts";
import { answerFailure, type ForwardContext, ForwardedCall } from "./forwarded-call.ts";
import { buildRequestHeaders, wantsStream } from "./http-headers.ts";
import { UpstreamAgent } from "./upstream-agent.ts";

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
  readonly #agent = new UpstreamAgent({ keepAlive: true, scheduling: "lifo", timeout: IDLE_UPSTREAM_MS });
  readonly #context: ForwardContext;

  constructor(deps: HttpProxyDeps) {
    this.#deps = deps;
    this.#context = { freshAgent: new UpstreamAgent({ keepAlive: false }), print: deps.print };
  }

  close(): void {
    this.#agent.destroy();
    this.#context.freshAgent.destroy();
  }

  handle(req: IncomingMessage, res: TrackedResponse): void {
    if (!this.#deps.bufferBody) {
      this.#forward(req, res, undefined);
      return;
    }
    readBody(req, this.#deps.maxBodyBytes)
      .then((read) => {
        if (read.kind === "read") this.#forward(req, res, read.body);
        else if (read.kind === "tooLarge") answerFailure(res, 413);
      })
      .catch((error: Error) => {
        this.#deps.print(`Forwarding a buffered request: ${error.message}`);
        failCall(res);
      });
  }

  #forward(req: IncomingMessage, res: TrackedResponse, body: Buffer | undefined): void {
    const { upstream, deadlines } = this.#deps;
    const method = req.method as string;
    const streaming = wantsStream(req.headers.accept);
    const { headers, hasBody } = buildRequestHeaders(req.rawHeaders, method);
    const upgrade = upgradeOf(req);
    if (upgrade?.full) {
      answerFailure(res, 503);
      return;
    }
    if (upgrade) headers.push("Connection", "Upgrade", "Upgrade", upgrade.protocols);
    if (body === undefined && hasBody && waitsForLeave(req)) headers.push("Expect", "100-continue");
    if (body !== undefined && body.length > 0) setLength(headers, body.length);
    const options = {
      host: upstream.host,
      port: upstream.port,
      method,
      path: upstream.prefix + (req.url as string),
      headers,
      // One that may change its protocol is no more use to others.
      agent: upgrade ? false : this.#agent,
      setHost: false,
      maxHeaderSize: MAX_ANSWER_HEAD_BYTES,
    };
    const call = new ForwardedCall(res, options, streaming, this.#context);
    call.upgrade = upgrade;
    res.onExpire = timeOut;
    deadlines.start(res, this.#limitMs(req, streaming), res.startedAt);
    if (body !== undefined) call.send(body);
    else if (hasBody) call.pipeBody();
    else call.send();
  }

  #limitMs(req: IncomingMessage, streaming: boolean): number {
    const { execTimeoutMs, writeTimeoutMs } = this.#deps;
    if (streaming || execTimeoutMs === 0) return writeTimeoutMs;
    return Math.min(callerTimeoutMs(req.headers["x-timeout"], execTimeoutMs), writeTimeoutMs);
  }
}

function timeOut(res: TrackedResponse): void {
  res.upstream?.timeOut();
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

/** Replaces whatever framing the caller used. */
function setLength(headers: string[], length: number): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    const name = (headers[i] as string).toLowerCase();
    if (name === "content-length" || name === "transfer-encoding") headers.splice(i, 2);
  }
  headers.push("Content-Length", String(length));
}
