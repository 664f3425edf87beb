import { DEFAULT_POLICY } from "../delivery/delivery-policy.ts";
import type { Trigger } from "./trigger.ts";

/** Stands for a trigger whose declaration is wrong: it gets nothing, and tells why. */
export function problemTrigger(
  { id, namespace, broker, subscriber }: Pick<Trigger, "id" | "namespace" | "broker" | "subscriber">,
  error: unknown,
): Trigger {
  const problem = error instanceof Error ? error.message : String(error);
  return {
    id,
    namespace,
    ...(broker && { broker }),
    filter: () => ({ passes: false, reason: `the trigger is not sound: ${problem}` }),
    subscriber,
    policy: DEFAULT_POLICY,
    ordered: false,
    concurrency: 0,
    keep: "full",
    problem,
  };
}
