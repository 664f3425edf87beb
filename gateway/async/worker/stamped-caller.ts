import { ERROR_HEADER } from "../../../contract/error-codes.ts";
import { DOWNGRADED_HEADER, stamped, stampOf } from "../../core/traffic/stamp.ts";
import type { QueuedCall } from "../../queue/queue.ts";
import type { CallAnswer, FunctionCaller } from "../function-caller.ts";
import type { ResultLimits } from "../result.ts";

/** What gateways answer that do not have the version, or do not know of versions at all. */
const GONE: ReadonlySet<unknown> = new Set(["unknown_version", "unknown_route", "unknown_function"]);

/** Makes stored calls through another caller, each on the version that it was accepted for, or else on the one that serves now. */
export class StampedCaller implements FunctionCaller {
  readonly #caller: FunctionCaller;

  constructor(caller: FunctionCaller) {
    this.#caller = caller;
  }

  async call(
    call: QueuedCall,
    keep: ResultLimits | undefined,
    signal: AbortSignal,
    attempt?: number,
  ): Promise<CallAnswer> {
    const answer = await this.#caller.call(call, keep, signal, attempt);
    const version = stampOf(call);
    if (version === undefined || !isGone(answer)) return answer;
    if (answer.kind === "answered") await answer.result.discard();
    const live = { ...call, headers: stamped(call.headers, undefined) };
    const second = await this.#caller.call(live, keep, signal, attempt);
    if (second.kind !== "answered") return second;
    return { ...second, headers: { ...second.headers, [DOWNGRADED_HEADER]: version } };
  }

  async close(): Promise<void> {
    await this.#caller.close();
  }
}

/** Functions cannot say so: that header is the platform's alone. */
function isGone(answer: CallAnswer): boolean {
  return answer.kind === "answered" && answer.status === 404 && GONE.has(answer.headers[ERROR_HEADER]);
}
