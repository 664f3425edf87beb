import { FaasError } from "../../provider/contract/errors.ts";
import { qualifiedName } from "../../provider/contract/functions.ts";
import { FUNCTION_PREFIX, type FunctionProxy } from "../proxy/function-proxy.ts";
import type { QueuedCall } from "../queue/queue.ts";
import { findDefect } from "./defects.ts";
import type { Answer, FunctionCaller } from "./function-caller.ts";
import type { ResultLimits } from "./result.ts";
import { SharedDeadline } from "./shared-deadline.ts";
import { StoredExchange } from "./stored-exchange.ts";

export interface ProxyCallerOptions {
  readonly proxy: Pick<FunctionProxy, "forward">;
  /** From the start of a call to the end of its answer. */
  readonly timeoutMs: number;
  readonly userAgent: string;
}

/** Hands stored calls to the gateway's proxy in the same process, which treats them as it does those of callers. */
export class ProxyCaller implements FunctionCaller {
  readonly #options: ProxyCallerOptions;
  readonly #underWay: SharedDeadline<StoredExchange>;
  #closed = false;

  constructor(options: ProxyCallerOptions) {
    this.#options = options;
    this.#underWay = new SharedDeadline(options.timeoutMs, (exchange) => exchange.expire());
  }

  async call(call: QueuedCall, keep: ResultLimits | undefined, signal: AbortSignal): Promise<Answer> {
    const defect = findDefect(call);
    if (defect !== undefined) return { kind: "unsendable", reason: defect };
    signal.throwIfAborted();
    if (this.#closed) {
      return { kind: "unreachable", error: new FaasError("unavailable", "the gateway is stopping") };
    }
    const { proxy, userAgent } = this.#options;
    const exchange = new StoredExchange(call, userAgent, keep, signal);
    this.#underWay.add(exchange);
    proxy.forward(urlOf(call), call.callId, exchange);
    try {
      return await exchange.answer;
    } finally {
      this.#underWay.delete(exchange);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const left = [...this.#underWay.items()];
    this.#underWay.close();
    for (const exchange of left) exchange.cut();
  }
}

function urlOf({ function: name, namespace, path, query }: QueuedCall): string {
  const target = qualifiedName({ name, namespace });
  return query === "" ? `${FUNCTION_PREFIX}${target}${path}` : `${FUNCTION_PREFIX}${target}${path}?${query}`;
}
