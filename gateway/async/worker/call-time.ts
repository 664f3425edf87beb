import { qualifiedName } from "../../../contract/functions.ts";
import { callTarget } from "../../core/traffic/stamp.ts";
import type { CallTimeLimit } from "../function-caller.ts";

/** An answer that has begun may go on for so long. One that falls silent is cut long before, by the proxy. */
const LONGEST_ANSWER_MS = 3_600_000;
/** Longer ones do not fit into a timer. */
const MAX_MS = 2 ** 31 - 1;

interface CallTimeOptions {
  readonly table: { find(target: string): { readonly answerTimeoutMs: number } | undefined };
  /** For functions that are not known. */
  readonly timeoutMs: number;
  /** What a call may take beside its answer: the wait for a replica, and for connections. */
  readonly aroundMs: number;
}

/** As long as the proxy gives any call of that function, so that stored calls are cut no earlier than those of callers. */
export function callTimeLimit({ table, timeoutMs, aroundMs }: CallTimeOptions): CallTimeLimit {
  return (call, begun) => {
    const known = table.find(callTarget(call)) ?? table.find(qualifiedName({ ...call, name: call.function }));
    const answerMs = known?.answerTimeoutMs ?? timeoutMs;
    return Math.min(MAX_MS, aroundMs + Math.max(answerMs, begun ? LONGEST_ANSWER_MS : 0));
  };
}
