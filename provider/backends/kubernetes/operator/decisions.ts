import type { FunctionObjectStatus } from "../resources/function-object.ts";
import type { WatchedFunctionResource } from "./records.ts";

/** What the objects of a Function were found or made to be, as far as it can be told without reading them. */
export interface Fingerprints {
  /** `uid` and generation of the Function. */
  readonly definition: string;
  readonly profiles: string;
  /** "" when there is none, here and below. */
  readonly deployment: string;
  readonly service: string;
}

export type Divergence = "none" | "definition" | "objects";

/** What has changed since `checked`. */
export function compare(checked: Fingerprints | undefined, now: Fingerprints): Divergence {
  if (!checked || checked.definition !== now.definition || checked.profiles !== now.profiles) return "definition";
  return checked.deployment === now.deployment && checked.service === now.service ? "none" : "objects";
}

/**
 * Whether a Function says of itself that its objects are as it wants them.
 * @param generationOf of a profile by name; undefined when there is none
 */
export function isSettled(
  { status, generation, profiles }: Pick<WatchedFunctionResource, "status" | "generation" | "profiles">,
  generationOf: (profile: string) => number | undefined,
): boolean {
  if (status?.observedGeneration !== generation || readiness(status) !== "True") return false;
  const used = new Map(status.profiles?.map((p) => [p.profileRef.name, p.observedGeneration]));
  return used.size === profiles.length && profiles.every((name) => used.get(name) === generationOf(name));
}

const readiness = (status: FunctionObjectStatus | undefined) =>
  status?.conditions?.find(({ type }) => type === "Ready")?.status;

/** Whether somebody may wait for this change of a status, as opposed to one of replicas that come and go. */
export function isUrgent(before: FunctionObjectStatus | undefined, after: FunctionObjectStatus): boolean {
  return before?.observedGeneration !== after.observedGeneration || readiness(before) !== readiness(after);
}

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;

/** Milliseconds until the next try after so many failures in a row. */
export function decideRequeueDelay(failures: number): number {
  return Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 20));
}

/** Corrections of one function, to tell an accident from a fight. */
export interface Corrections {
  readonly count: number;
  readonly lastMs: number;
}

/** Without a correction for this long, the last one has held. */
const PEACE_MS = 120_000;

/**
 * One more correction. The first is free; then each waits longer for the next, because another writer keeps overwriting the change.
 * @returns how long to look away from now on
 */
export function decideCorrection(
  before: Corrections | undefined,
  nowMs: number,
): { readonly corrections: Corrections; readonly waitMs: number } {
  const count = before && nowMs - before.lastMs < PEACE_MS ? before.count + 1 : 1;
  return { corrections: { count, lastMs: nowMs }, waitMs: count < 3 ? 0 : decideRequeueDelay(count - 2) };
}
