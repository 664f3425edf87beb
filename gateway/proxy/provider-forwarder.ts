import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { type Dispatcher, Pool } from "undici";
import { FaasError } from "../../provider/contract/errors.ts";

/** Headers of the caller that do not concern the provider: its connection's own, and its credentials. */
const DROPPED = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "expect",
  "authorization",
]);

export interface ProviderForwarderOptions {
  readonly url: URL;
  /** `Authorization` header that the provider wants; absent when it wants none. */
  readonly authorization?: string;
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number;
}

/** Passes control requests on to the provider as they are, with the gateway's own credentials. */
export class ProviderForwarder {
  readonly #pool: Pool;
  readonly #basePath: string;
  readonly #authorization: string | undefined;

  constructor({ url, authorization, timeoutMs }: ProviderForwarderOptions) {
    // Log streams may be silent for as long as their function is.
    this.#pool = new Pool(url.origin, { headersTimeout: timeoutMs, bodyTimeout: 0, connections: 1024 });
    this.#basePath = url.pathname.replace(/\/$/, "");
    this.#authorization = authorization;
  }

  /**
   * Streams the request to the provider and its answer back.
   * @throws {FaasError} `upstream` when the provider does not answer
   */
  async forward(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const abort = new AbortController();
    res.on("close", () => abort.abort());
    let answer: Dispatcher.ResponseData;
    try {
      answer = await this.#pool.request({
        path: this.#basePath + path,
        method: req.method as Dispatcher.HttpMethod,
        headers: this.#headers(req),
        body: hasBody(req) ? req : null,
        signal: abort.signal,
      });
    } catch (cause) {
      if (abort.signal.aborted) return;
      throw new FaasError("upstream", "the provider does not answer", { cause });
    }
    const { connection: _c, "keep-alive": _k, "transfer-encoding": _t, ...headers } = answer.headers;
    res.writeHead(answer.statusCode, headers);
    if (headers["content-length"] === undefined) res.flushHeaders();
    try {
      await pipeline(answer.body, res);
    } catch (err) {
      // One side has left in the middle; the other learns it from the cut connection.
      if (!abort.signal.aborted) throw err;
    }
  }

  #headers(req: IncomingMessage): string[] {
    const headers: string[] = [];
    for (let i = 0; i < req.rawHeaders.length; i += 2) {
      const name = req.rawHeaders[i] as string;
      if (!DROPPED.has(name.toLowerCase())) headers.push(name, req.rawHeaders[i + 1] as string);
    }
    if (this.#authorization) headers.push("Authorization", this.#authorization);
    return headers;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
