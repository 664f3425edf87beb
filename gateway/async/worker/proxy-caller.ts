import { FaasError } from "../../../contract/errors.ts";
import { callTarget } from "../../core/traffic/stamp.ts";
import { FUNCTION_PREFIX, type FunctionProxy } from "../../proxy/function-proxy.ts";
import type { QueuedCall } from "../../queue/queue.ts";
import type { CallAnswer, CallTimeLimit, FunctionCaller } from "../function-caller.ts";
import type { ResultLimits } from "../result.ts";
import { contextOf } from "../traced-call.ts";
import { GatewayRequests } from "./calls-under-way.ts";
import { StoredExchange } from "./stored-exchange.ts";
import { validateStoredCall } from "./validate-stored-call.ts";

export interface ProxyCallerOptions {
  readonly proxy: Pick<FunctionProxy, "forward">;
  /** Longer than the proxy's own limits. */
  readonly timeLimit: CallTimeLimit;
  readonly userAgent: string;
}

/** Hands stored calls to the gateway's proxy in the same process, which treats them as it does those of callers. */
export class ProxyCaller implements FunctionCaller {
  readonly #options: ProxyCallerOptions;
  readonly #underWay = new GatewayRequests();
  #closed = false;

  constructor(options: ProxyCallerOptions) {
    this.#options = options;
  }

  async call(call: QueuedCall, keep: ResultLimits | undefined, signal: AbortSignal): Promise<CallAnswer> {
    const problem = validateStoredCall(call);
    if (problem !== undefined) return { kind: "unsendable", reason: problem };
    signal.throwIfAborted();
    if (this.#closed) {
      return { kind: "unreachable", error: new FaasError("unavailable", "the gateway is stopping") };
    }
    const { proxy, timeLimit, userAgent } = this.#options;
    const exchange = new StoredExchange(call, userAgent, { keep, signal, microBatch: this.#underWay.microBatch });
    const limit = (begun: boolean) => timeLimit(call, begun);
    return await this.#underWay.run(exchange.collector, limit, () => {
      proxy.forward(urlOf(call), call.callId, exchange, contextOf(call))?.catch(() => exchange.breakOff());
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#underWay.close();
  }
}

function urlOf(call: QueuedCall): string {
  const url = `${FUNCTION_PREFIX}${callTarget(call)}${call.path}`;
  return call.query === "" ? url : `${url}?${call.query}`;
}
