import { type Dispatcher, errors, Pool } from "undici";
import { qualifiedName } from "../../../contract/functions.ts";
import { parseVersionedName } from "../../../contract/versions/version-name.ts";
import { MAX_FORWARDED_HEAD_BYTES } from "../../../http/forwarding.ts";
import type { Credentials } from "../../../kit/basic-auth.ts";
import { proveDelivery } from "../../core/delivery-proof.ts";
import { callTarget } from "../../core/traffic/stamp.ts";
import { DELIVERY } from "../../policies/identity-headers.ts";
import type { QueuedCall } from "../../queue/queue.ts";
import {
  type CallAnswer,
  type CallTimeLimit,
  type FunctionCaller,
  platformAnswer,
  type ResponseHeaders,
} from "../function-caller.ts";
import { buildCallHeaders } from "../headers.ts";
import type { ResultLimits } from "../result.ts";
import { AnswerCollector, type AnswerCollectorOptions } from "./answer-collector.ts";
import { GatewayRequests } from "./calls-under-way.ts";
import { validateStoredCall } from "./validate-stored-call.ts";

export interface GatewayCallerOptions {
  /** Base of the gateway, below which `/function/` lies. */
  readonly gatewayUrl: URL;
  readonly connections: number;
  /** Longer than the gateway's own limits. */
  readonly timeLimit: CallTimeLimit;
  readonly userAgent: string;
  /** What the gateway knows too, so that it takes this for a queue worker. */
  readonly credentials?: Credentials | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
const GATEWAY_HEAD_BYTES = 16 * 1024;

/** Makes stored calls through the `/function/` route of a gateway in another process. */
export class GatewayCaller implements FunctionCaller {
  readonly #options: GatewayCallerOptions;
  readonly #pool: Pool;
  readonly #underWay = new GatewayRequests();

  constructor(options: GatewayCallerOptions) {
    this.#options = options;
    this.#pool = new Pool(options.gatewayUrl.origin, {
      connections: options.connections,
      pipelining: 1,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      // As much as the gateway has taken, and what it adds.
      maxHeaderSize: MAX_FORWARDED_HEAD_BYTES + GATEWAY_HEAD_BYTES,
      // The deadline of the whole call is the only one: a function may think for long before its first byte.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  async call(call: QueuedCall, keep: ResultLimits | undefined, signal: AbortSignal): Promise<CallAnswer> {
    const problem = validateStoredCall(call);
    if (problem !== undefined) return { kind: "unsendable", reason: problem };
    signal.throwIfAborted();
    const { gatewayUrl, timeLimit, userAgent, credentials } = this.#options;
    const base = gatewayUrl.pathname.replace(/\/$/, "");
    const headers = buildCallHeaders(call, userAgent);
    if (credentials) {
      const { name: bare } = parseVersionedName(call.function);
      const name = qualifiedName({ name: bare, namespace: call.namespace });
      headers.push(DELIVERY, proveDelivery({ callId: call.callId, function: name }, credentials, Date.now()));
    }
    const request: Dispatcher.DispatchOptions = {
      method: call.method as Dispatcher.HttpMethod,
      path: `${base}/function/${callTarget(call)}${call.path}${call.query === "" ? "" : `?${call.query}`}`,
      headers,
      body: call.body,
      // A gateway that hangs in the middle of an answer; one that does not would have cut a silent function by then.
      bodyTimeout: timeLimit(call, false),
    };
    const response = new GatewayResponse({ keep, signal, microBatch: this.#underWay.microBatch });
    const limit = (begun: boolean) => timeLimit(call, begun);
    return await this.#underWay.run(response.collector, limit, () => this.#pool.dispatch(request, response));
  }

  async close(): Promise<void> {
    this.#underWay.close();
    await this.#pool.destroy();
  }
}

type Controller = Dispatcher.DispatchController;

class GatewayResponse implements Dispatcher.DispatchHandler {
  readonly collector: AnswerCollector;
  #controller: Controller | undefined;

  constructor(options: Omit<AnswerCollectorOptions, "leave">) {
    this.collector = new AnswerCollector({ ...options, leave: () => this.#leave() });
  }

  #leave(): void {
    this.#controller?.abort(new Error("the caller has left"));
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.collector.over) this.#leave();
  }

  onResponseStart(_controller: Controller, status: number, headers: ResponseHeaders): void {
    if (status >= 200) this.collector.begin(status, headers);
  }

  onResponseData(controller: Controller, piece: Buffer): void {
    this.collector.data(piece, controller);
  }

  onResponseEnd(): void {
    this.collector.end();
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    this.collector.settle(answerTo(error));
  }
}

function answerTo(error: Error): CallAnswer {
  if (error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError) {
    return { kind: "unsendable", reason: error.message };
  }
  return isUnreachable(error) ? { kind: "unreachable", error } : platformAnswer(502);
}

/** Whether no connection came about, so that nothing has been sent. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof errors.ConnectTimeoutError) return true;
  const { syscall, code } = error as NodeJS.ErrnoException;
  // Several addresses failing make one error without a system call.
  return syscall === "connect" || syscall === "getaddrinfo" || code === "ECONNREFUSED";
}
