import { newsOf } from "../../outcome.ts";
import type { CallbackEnd, FinalState } from "../../queue.ts";
import type { CallbackRow } from "../db/callbacks.ts";
import type { CallFacts } from "../db/calls.ts";
import type { StoredOutcome } from "../protocol.ts";

/** How a call ends. */
export interface CallEnding {
  readonly state: FinalState;
  /** Whether an attempt has ended with it. */
  readonly counted: boolean;
  /** Of the attempt under way, if there is one. */
  readonly startedAt: number | undefined;
  readonly outcome?: StoredOutcome | undefined;
  readonly reason?: string | undefined;
  readonly callback?: CallbackEnd | undefined;
}

/** As {@link CallEnding}, of a call whose function has answered before: its attempt is counted, its answer stored. */
export function endAnswered(
  ending: CallEnding,
  waiting: CallbackRow,
  { startedAt }: Pick<CallFacts, "startedAt">,
): CallEnding {
  const { state, callback } = ending;
  const told = state === "done" || state === "dead";
  return {
    ...ending,
    counted: false,
    startedAt,
    outcome: ending.outcome ?? (told ? waiting.outcome : undefined),
    callback: callback ?? (state === "dead" ? failedCallback(waiting) : undefined),
  };
}

/** Of one that nobody has told the end of. */
export function failedCallback({ callback }: CallbackRow): CallbackEnd {
  const { tries, failure } = callback;
  return { ...newsOf(callback), tries, delivered: false, ...(failure !== undefined && { failure }) };
}
