import { IncomingMessage, type ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Dispatcher, Pool } from "undici";
import { ERROR_HEADER } from "../../contract/error-codes.ts";
import { codeOfStatus, FaasError } from "../../contract/errors.ts";
import { PATHS, USER_HEADER } from "../../contract/paths.ts";
import { endToEndHeaders, MAX_FORWARDED_HEAD_BYTES } from "../../http/forwarding.ts";
import type { Login } from "../../kit/credential-files.ts";
import { addressOf } from "./provider-address.ts";

/**
 * Headers of the caller that do not concern the provider: its credentials, and what a browser says of the page that
 * asks, which was compared with the gateway's own name.
 */
const NOT_FOR_THE_PROVIDER: ReadonlySet<string> = new Set([
  "host",
  "expect",
  "authorization",
  "origin",
  "sec-fetch-site",
  // Which is ours to say.
  USER_HEADER,
]);

const PRINTABLE = /^[ -~]+$/;

const BUILD_TIMEOUT_MS = 15 * 60_000;

export interface ProviderConnectionOptions {
  readonly url: URL;
  /** What the provider wants; absent when it wants nothing. */
  readonly login?: Login;
  /** Connections at a time, streams included, see {@link shareProvider}; further requests wait for one. */
  readonly connections: number;
  /** Longest wait for response headers, in milliseconds. */
  readonly timeoutMs: number;
}

export interface ProviderRequest {
  readonly method: string;
  /** With its query, starting with `/`. */
  readonly path: string;
  /** Names and values in turn. */
  readonly headers?: readonly string[];
  readonly body?: string | Buffer | IncomingMessage;
  readonly signal?: AbortSignal;
  /** Longest wait for response headers, in milliseconds; the connection's own unless given. */
  readonly timeoutMs?: number;
}

/** What is known of a request that is passed on. */
export interface KnownRequest {
  readonly body?: Buffer;
  readonly user?: string | undefined;
}

/** How connections to the provider are shared out. */
interface ProviderShares {
  /** For what the gateway asks itself: whether the provider is well, replicas for calls that wait. */
  readonly own: number;
  /** For requests of callers, who may leave an answer where it is for a long time. */
  readonly callers: number;
  /** Of those, for streams without an end. */
  readonly streams: number;
}

/** Two of its own are streams that the gateway follows, so there are three at least. */
export function shareProvider(connections: number): ProviderShares {
  const own = Math.max(3, Math.floor(connections / 4));
  const callers = Math.max(2, connections - own);
  return { own, callers, streams: Math.max(1, Math.floor((callers * 2) / 3)) };
}

/** HTTP to the provider, with the gateway's own credentials. */
export class ProviderConnection {
  readonly #own: Pool;
  readonly #callers: Pool;
  readonly #maxStreams: number;
  #streams = 0;
  readonly #basePath: string;
  readonly #login: Login | undefined;
  /** What the provider has taken in place of what the login says. */
  #accepted: string | undefined;
  readonly #streamsEnd = new AbortController();

  constructor({ url, login, connections, timeoutMs }: ProviderConnectionOptions) {
    const { origin, basePath, dial } = addressOf(url);
    // Streams may be silent for as long as their function is.
    const options = { ...dial, maxHeaderSize: MAX_FORWARDED_HEAD_BYTES, headersTimeout: timeoutMs, bodyTimeout: 0 };
    const { own, callers, streams } = shareProvider(connections);
    this.#own = new Pool(origin, { ...options, connections: own });
    this.#callers = new Pool(origin, { ...options, connections: callers });
    this.#maxStreams = streams;
    this.#basePath = basePath;
    this.#login = login;
  }

  /**
   * @throws {FaasError} `upstream` when the provider does not answer; `unavailable` when the password has changed while
   *   a body was sent that cannot be sent again
   */
  async request(request: ProviderRequest): Promise<Dispatcher.ResponseData> {
    return await this.#ask(request, this.#own);
  }

  async #ask(request: ProviderRequest, pool: Pool): Promise<Dispatcher.ResponseData> {
    const authorization = this.#accepted ?? this.#login?.header();
    const answer = await this.#send(request, pool, authorization);
    if (answer.statusCode !== 401 || authorization === undefined) return answer;
    const other = await this.#login?.instead(authorization);
    if (other === undefined) return answer;
    await answer.body.dump();
    if (request.body instanceof IncomingMessage) {
      throw new FaasError("unavailable", "the provider's password is being changed; try again");
    }
    const second = await this.#send(request, pool, other);
    // From now on first: a provider that is asked with a wrong password again and again asks for a pause.
    if (second.statusCode !== 401) this.#accepted = other === this.#login?.header() ? undefined : other;
    return second;
  }

  async #send(
    { method, path, headers = [], body, signal, timeoutMs }: ProviderRequest,
    pool: Pool,
    authorization: string | undefined,
  ): Promise<Dispatcher.ResponseData> {
    try {
      return await pool.request({
        path: this.#basePath + path,
        method: method as Dispatcher.HttpMethod,
        headers: authorization === undefined ? [...headers] : [...headers, "Authorization", authorization],
        body: body ?? null,
        ...(signal && { signal }),
        ...(timeoutMs !== undefined && { headersTimeout: timeoutMs }),
      });
    } catch (cause) {
      throw new FaasError("upstream", "the provider does not answer", { cause, code: "provider_unreachable" });
    }
  }

  /**
   * Streams a caller's request to the provider as it is, and the answer back.
   * @param known `body` of the request, where that has been read already; `user` who has logged in
   * @throws {FaasError} `upstream` when the provider does not answer; `overloaded` when too many streams are read already
   */
  async forward(req: IncomingMessage, res: ServerResponse, path: string, known: KnownRequest = {}): Promise<void> {
    if (!isEndless(path)) return await this.#forward(req, res, path, known);
    if (this.#streams >= this.#maxStreams) {
      throw new FaasError("overloaded", `${this.#streams} clients read logs and other streams already`);
    }
    this.#streams++;
    try {
      await this.#forward(req, res, path, known);
    } finally {
      this.#streams--;
    }
  }

  async #forward(req: IncomingMessage, res: ServerResponse, path: string, known: KnownRequest): Promise<void> {
    const { body, user } = known;
    const headers = endToEndHeaders(req.rawHeaders, req.headers.connection, NOT_FOR_THE_PROVIDER);
    if (user !== undefined && PRINTABLE.test(user)) headers.push(USER_HEADER, user);
    const leaving = new AbortController();
    res.on("close", () => leaving.abort());
    let answer: Dispatcher.ResponseData;
    try {
      const request = {
        method: req.method as string,
        path,
        headers,
        signal: leaving.signal,
        ...(body ? { body } : hasBody(req) ? { body: req } : {}),
        // A large context takes its time on a slow line, and then to be unpacked.
        ...(path.startsWith(PATHS.build) && { timeoutMs: BUILD_TIMEOUT_MS }),
      };
      // Whoever watches over the gateway must not take it for dead because of those who hold the others.
      answer = await this.#ask(request, path === PATHS.health ? this.#own : this.#callers);
    } catch (error) {
      if (leaving.signal.aborted) return;
      throw error;
    }
    const { connection: _c, "keep-alive": _k, "transfer-encoding": _t, ...answered } = answer.headers;
    // Providers of others have no codes.
    const code = answered[ERROR_HEADER] ?? codeOfStatus(answer.statusCode);
    if (code !== undefined) answered[ERROR_HEADER] = code;
    res.writeHead(answer.statusCode, answered);
    if (answered["content-length"] === undefined) res.flushHeaders();
    try {
      await pipeline(isEndless(path) ? piecesUntil(answer.body, this.#streamsEnd.signal) : answer.body, res);
    } catch (error) {
      // One side has left in the middle; the other learns it from the cut connection.
      if (!leaving.signal.aborted) throw error;
    }
  }

  /** Ends, in order, what is passed on and may have no end of its own. */
  endStreams(): void {
    this.#streamsEnd.abort();
  }

  async close(): Promise<void> {
    await Promise.all([this.#own.destroy(), this.#callers.destroy()]);
  }
}

async function* piecesUntil(body: Readable, stop: AbortSignal): AsyncGenerator<Buffer> {
  const end = () => void body.destroy();
  stop.addEventListener("abort", end, { once: true });
  try {
    if (!stop.aborted) yield* body;
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    stop.removeEventListener("abort", end);
    body.destroy();
  }
}

function isEndless(path: string): boolean {
  return path.startsWith(PATHS.logs) || path.startsWith(PATHS.endpoints);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
