import { errors, Pool } from "undici";
import { qualifiedName } from "../../provider/contract/functions.ts";
import { INTERNAL_HEADER } from "../../provider/contract/paths.ts";
import type { QueuedCall } from "../queue/queue.ts";
import { Deadline } from "./deadline.ts";
import { findDefect } from "./defects.ts";
import { type Answer, type FunctionCaller, platformAnswer } from "./function-caller.ts";
import { buildCallHeaders } from "./headers.ts";
import { drainResult, keepResult, NO_RESULT, type ResultLimits } from "./result.ts";

export interface GatewayCallerOptions {
  /** Base of the gateway, below which `/function/` lies. */
  readonly gatewayUrl: URL;
  readonly connections: number;
  /** From sending the request to the end of the response. Longer than the gateway's own limits. */
  readonly timeoutMs: number;
  readonly userAgent: string;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Makes stored calls through the `/function/` route of a gateway in another process. */
export class GatewayCaller implements FunctionCaller {
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
    const result = keep ? await keepResult(body, keep) : await drainResult(body).then(() => NO_RESULT);
    return { kind: "answered", status: statusCode, internal: INTERNAL_HEADER in headers, headers, result };
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Whether no connection came about, so that nothing has been sent. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof errors.ConnectTimeoutError) return true;
  const { syscall, code } = error as NodeJS.ErrnoException;
  // Several addresses failing make one error without a system call.
  return syscall === "connect" || syscall === "getaddrinfo" || code === "ECONNREFUSED";
}
