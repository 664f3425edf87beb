import type { ProbeTiming } from "../../probe-annotations.ts";

/** What the last answers in a row were. */
export interface Streak {
  readonly passed: number;
  readonly failed: number;
}

export const NO_ANSWERS: Streak = { passed: 0, failed: 0 };

/** @returns the new streak, and what it means once it is long enough */
export function judge(
  before: Streak,
  passed: boolean,
  { successThreshold, failureThreshold }: Pick<ProbeTiming, "successThreshold" | "failureThreshold">,
): { readonly streak: Streak; readonly verdict: "up" | "down" | undefined } {
  const streak = passed ? { passed: before.passed + 1, failed: 0 } : { passed: 0, failed: before.failed + 1 };
  if (streak.passed >= successThreshold) return { streak, verdict: "up" };
  return { streak, verdict: streak.failed >= failureThreshold ? "down" : undefined };
}

/** As kubelets judge. */
export const isGood = (status: number) => status >= 200 && status < 400;
