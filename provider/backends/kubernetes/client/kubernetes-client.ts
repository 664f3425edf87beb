import type { IncomingMessage } from "node:http";
import { request as requestTls, Agent as TlsAgent } from "node:https";
import { FaasError } from "../../../../contract/errors.ts";
import { Agent, request as requestPlain } from "../../../../kit/http.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { FIELD_MANAGER } from "../resources/names.ts";
import type { ClusterAccess } from "./access.ts";
import { ApiError, hasStatus, readApiError } from "./api-error.ts";
import { decideResend, readRetryAfter } from "./retry.ts";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface RequestSpec {
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** Until the head of the answer; 30 s unless given. */
  readonly timeoutMs?: number;
}

export interface JsonPatchOperation {
  readonly op: "add" | "replace";
  /** JSON pointer. */
  readonly path: string;
  readonly value: unknown;
}

const TIMEOUT_MS = 30_000;
/** Lists come in pages, so that this is far more than any answer has. */
const MAX_ANSWER_BYTES = 256 * 1024 ** 2;

/** Requests to a Kubernetes API server, in JSON as it is on the wire: times stay text. */
export class KubernetesClient {
  readonly #access: ClusterAccess;
  readonly #plainAgent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #closed = new AbortController();
  readonly #tlsAgent = new TlsAgent({ keepAlive: true, maxSockets: 64 });

  constructor(access: ClusterAccess) {
    this.#access = access;
  }

  /** @throws {FaasError} `notFound` and what else the API server answers */
  async get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
    return await this.#json("GET", path, { ...(query && { query }), ...(signal && { signal }) });
  }

  /** Undefined when it does not exist. */
  async find<T>(path: string, signal?: AbortSignal): Promise<T | undefined> {
    try {
      return await this.get<T>(path, undefined, signal);
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }

  async create<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
    return await this.#json("POST", path, { body, query: { fieldManager: FIELD_MANAGER }, ...(signal && { signal }) });
  }

  /** Fails with a conflict when the object has changed since the `resourceVersion` in `body`. */
  async replace<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
    return await this.#json("PUT", path, { body, query: { fieldManager: FIELD_MANAGER }, ...(signal && { signal }) });
  }

  /** Server-side apply in our name; takes fields over from others. */
  async apply<T>(path: string, body: unknown): Promise<T> {
    const query = { fieldManager: FIELD_MANAGER, force: true };
    return await this.#json("PATCH", path, { body, query, contentType: "application/apply-patch+yaml" });
  }

  /** @see RFC 7396 */
  async mergePatch<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
    const query = { fieldManager: FIELD_MANAGER };
    const contentType = "application/merge-patch+json";
    return await this.#json("PATCH", path, { body, query, contentType, ...(signal && { signal }) });
  }

  /** @see RFC 6902 */
  async jsonPatch<T>(path: string, operations: readonly JsonPatchOperation[]): Promise<T> {
    const query = { fieldManager: FIELD_MANAGER };
    return await this.#json("PATCH", path, { body: operations, query, contentType: "application/json-patch+json" });
  }

  /** What depends on it follows in the background. */
  async remove(path: string, uid?: string): Promise<void> {
    const body = { propagationPolicy: "Background", ...(uid && { preconditions: { uid } }) };
    await this.#json("DELETE", path, { body });
  }

  /** An answer that goes on, e.g. a watch or a log; ends with an error when `signal` aborts. */
  async stream(path: string, query: Query, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#open("GET", path, { query, signal });
    if (isSuccess(response)) return response;
    throw refusal(response, await readText(response));
  }

  close(): void {
    this.#closed.abort();
    this.#plainAgent.destroy();
    this.#tlsAgent.destroy();
  }

  async #json<T>(method: string, path: string, spec: RequestSpec): Promise<T> {
    const since = performance.now();
    for (let attempts = 1; ; attempts += 1) {
      try {
        const response = await this.#open(method, path, spec);
        return decodeAnswer<T>(response, await readText(response));
      } catch (error) {
        if (!(error instanceof ApiError) || error.kind !== "unavailable") throw error;
        const { status, retryAfterMs } = error;
        const failed = { method, status, attempts, elapsedMs: Math.round(performance.now() - since) };
        const waitMs = decideResend({ ...failed, ...(retryAfterMs !== undefined && { retryAfterMs }) }, Math.random());
        if (waitMs === undefined) throw error;
        await sleep(waitMs, this.#within(spec.signal));
        if (this.#closed.signal.aborted || spec.signal?.aborted) throw error;
      }
    }
  }

  #within(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
  }

  async #open(method: string, path: string, spec: RequestSpec, isAgain = false): Promise<IncomingMessage> {
    const { query = {}, body, contentType = "application/json", signal, timeoutMs = TIMEOUT_MS } = spec;
    const url = new URL(this.#access.server.pathname.replace(/\/$/, "") + path, this.#access.server);
    for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, String(value));
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const options = await this.#access.credentials().catch((cause: unknown) => {
      throw new FaasError("unavailable", "there are no credentials for the Kubernetes API", { cause });
    });
    const isPlain = url.protocol === "http:";
    const own = isPlain ? this.#plainAgent : this.#tlsAgent;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const req = (isPlain ? requestPlain : requestTls)(
      url,
      {
        ...options,
        method,
        agent: options.agent ?? own,
        headers: {
          ...options.headers,
          accept: "application/json",
          "user-agent": "faaslane-provider",
          ...(payload !== undefined && { "content-type": contentType, "content-length": Buffer.byteLength(payload) }),
        },
        ...(signal && { signal }),
      },
      resolve,
    );
    const late = setTimeout(() => req.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    // Stays on, as an error may also come after the head.
    req.on("error", reject).end(payload);
    try {
      return await promise;
    } catch (cause) {
      // The server may close a connection that it has kept just when it is used again; all but creating may be repeated.
      const isStale = req.reusedSocket && (cause as NodeJS.ErrnoException).code === "ECONNRESET";
      if (isStale && !isAgain && method !== "POST") return await this.#open(method, path, spec, true);
      throw new FaasError("unavailable", "the Kubernetes API cannot be reached", { cause });
    } finally {
      clearTimeout(late);
    }
  }
}

function isSuccess({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

function refusal({ statusCode = 0, headers }: IncomingMessage, text: string): ApiError {
  return readApiError(statusCode, text, readRetryAfter(headers["retry-after"]));
}

function decodeAnswer<T>(response: IncomingMessage, text: string): T {
  if (!isSuccess(response)) throw refusal(response, text);
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new FaasError("unavailable", "the Kubernetes API gave an answer that is not JSON", { cause });
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const late = setTimeout(() => response.destroy(new Error("the answer does not end")), TIMEOUT_MS);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) throw new Error("the answer is too large");
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new FaasError("unavailable", "the Kubernetes API broke off its answer", { cause });
  } finally {
    clearTimeout(late);
  }
  return Buffer.concat(chunks).toString();
}
