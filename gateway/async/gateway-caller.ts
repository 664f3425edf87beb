import type { Readable } from "node:stream";
import { errors, Pool } from "undici";
import { qualifiedName } from "../../provider/contract/functions.ts";
import { INTERNAL_HEADER } from "../../provider/contract/paths.ts";
import type { QueuedCall } from "../queue/queue.ts";
import { Deadline } from "./deadline.ts";
import { buildCallHeaders } from "./headers.ts";
import { drainResult, keepResult, NO_RESULT, type Result, type ResultLimits } from "./result.ts";

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** How a call through the gateway ended. */
export type Answer =
  | {
      readonly kind: "answered";
      /** 502 and 504 with `internal` also stand for a connection that broke and an answer that took too long. */
      readonly status: number;
      readonly internal: boolean;
      readonly headers: ResponseHeaders;
      /** Empty unless it was to be kept. */
      readonly result: Result;
    }
  /** No connection: the call has not been sent. */
  | { readonly kind: "unreachable"; readonly error: unknown }
  /** The stored call cannot be made into a request. */
  | { readonly kind: "unsendable"; readonly reason: string };

export interface GatewayCallerOptions {
  readonly gatewayUrl: URL;
  readonly connections: number;
  /** From sending the request to the end of the response. */
  readonly timeoutMs: number;
  readonly userAgent: string;
}

const CONNECT_TIMEOUT_MS = 10_000;
const NAME = /^[-a-zA-Z_0-9]+$/;
const PATH = /^\/[\x21-\x7e\x80-\xff]*$/;
const CALL_ID = /^[\x20-\x7e\x80-\xff]+$/;
const QUERY = /^[\x21-\x7e\x80-\xff]*$/;

/** Makes stored calls through the gateway's `/function/` route. */
export class GatewayCaller {
  readonly #options: GatewayCallerOptions;
  readonly #pool: Pool;

  constructor(options: GatewayCallerOptions) {
    this.#options = options;
    this.#pool = new Pool(options.gatewayUrl.origin, {
      connections: options.connections,
      pipelining: 1,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      // The deadline of the whole call is the only one: a function may think for long before its first byte.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /**
   * @param keep how much of the response body is wanted; undefined for nothing
   * @throws the reason of `signal` when that aborts
   */
  async call(call: QueuedCall, keep: ResultLimits | undefined, signal: AbortSignal): Promise<Answer> {
    const defect = findDefect(call);
    if (defect !== undefined) return { kind: "unsendable", reason: defect };
    const deadline = new Deadline(signal, this.#options.timeoutMs);
    try {
      return await this.#request(call, keep, deadline.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.expired) return platformAnswer(504);
      if (error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError) {
        return { kind: "unsendable", reason: error.message };
      }
      return isUnreachable(error) ? { kind: "unreachable", error } : platformAnswer(502);
    } finally {
      deadline.clear();
    }
  }

  async #request(call: QueuedCall, keep: ResultLimits | undefined, signal: AbortSignal): Promise<Answer> {
    const { gatewayUrl, userAgent } = this.#options;
    const base = gatewayUrl.pathname.replace(/\/$/, "");
    const target = qualifiedName({ name: call.function, namespace: call.namespace });
    const { statusCode, headers, body } = await this.#pool.request({
      method: call.method,
      path: `${base}/function/${target}${call.path}${call.query === "" ? "" : `?${call.query}`}`,
      headers: buildCallHeaders(call, userAgent),
      body: call.body,
      signal,
    });
    const result = keep ? await keepResult(body, keep) : await drainResult(body as Readable).then(() => NO_RESULT);
    return { kind: "answered", status: statusCode, internal: INTERNAL_HEADER in headers, headers, result };
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

function platformAnswer(status: 502 | 504): Answer {
  return { kind: "answered", status, internal: true, headers: {}, result: NO_RESULT };
}

/**
 * Stored data is not trusted to be what intake made: a bad row must not stop the worker, nor call something else.
 * @returns what is wrong with it, if anything
 */
export function findDefect(call: QueuedCall): string | undefined {
  if (!NAME.test(call.function) || !NAME.test(call.namespace)) return "the function's name is invalid";
  if (!PATH.test(call.path)) return "the path is invalid";
  if (!QUERY.test(call.query)) return "the query is invalid";
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.every((text) => typeof text === "string");
  if (!Array.isArray(call.headers) || !call.headers.every(isPair)) return "the headers are invalid";
  if (!CALL_ID.test(call.callId)) return "the call id is invalid";
  return undefined;
}

/** Whether no connection came about, so that nothing has been sent. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof errors.ConnectTimeoutError) return true;
  const { syscall, code } = error as NodeJS.ErrnoException;
  // Several addresses failing make one error without a system call.
  return syscall === "connect" || syscall === "getaddrinfo" || code === "ECONNREFUSED";
}
