import type { Join } from "./plan.ts";

/** What came of one part of a fan-out. An empty one had nothing to say, or its filter stopped it. */
export type PartOutcome = "done" | "failed" | "empty";

/** A fan-out under way, as its run keeps it. */
export interface JoinState {
  /** Of the step that it belongs to; a step that is entered again begins anew. */
  readonly visit: number;
  readonly join: Join;
  /** Part by part: `.` open, `+` done, `-` failed, `o` empty. */
  readonly parts: string;
  /** The part with which it was clear how it ends. */
  readonly decidedBy?: number;
}

export type JoinVerdict =
  | { readonly kind: "open" }
  /** Enough are done. */
  | { readonly kind: "joined" }
  /** All are over, and none has anything to go on with. */
  | { readonly kind: "empty" }
  /** It cannot be joined any more. */
  | { readonly kind: "failed"; readonly part: number };

const MARKS = { done: "+", failed: "-", empty: "o" } as const;

export function openJoin(visit: number, join: Join, count: number): JoinState {
  return { visit, join, parts: ".".repeat(count) };
}

/** Parts that are open again: those that have failed are done once more. */
export function reopenJoin(state: JoinState): JoinState {
  const { decidedBy: _, ...rest } = state;
  return { ...rest, parts: state.parts.replaceAll("-", ".") };
}

export function countParts(state: JoinState): Record<PartOutcome | "open", number> {
  const counts = { open: 0, done: 0, failed: 0, empty: 0 };
  for (const mark of state.parts) {
    counts[mark === "+" ? "done" : mark === "-" ? "failed" : mark === "o" ? "empty" : "open"]++;
  }
  return counts;
}

/** The numbers of the parts that are in none of the other states. */
export function openParts({ parts }: JoinState): number[] {
  return [...parts].flatMap((mark, part) => (mark === "." ? [part] : []));
}

export function doneParts({ parts }: JoinState): number[] {
  return [...parts].flatMap((mark, part) => (mark === "+" ? [part] : []));
}

/**
 * What is known of a fan-out with one more part. The verdict is given with the part that decides it, again each time that the
 * part is told; all others find it `open`.
 */
export function foldPart(
  state: JoinState,
  part: number,
  outcome: PartOutcome,
): { readonly state: JoinState; readonly verdict: JoinVerdict } {
  const known = state.parts[part];
  if (known === undefined) return { state, verdict: { kind: "open" } };
  const marked =
    known === "."
      ? { ...state, parts: state.parts.slice(0, part) + MARKS[outcome] + state.parts.slice(part + 1) }
      : state;
  if (state.decidedBy !== undefined) {
    if (state.decidedBy === part) return { state, verdict: judge(state, part) };
    // What is done although the join has failed need not be done again should the run go on.
    return { state: state.parts[state.decidedBy] === "-" ? marked : state, verdict: { kind: "open" } };
  }
  const verdict = judge(marked, part);
  return { state: verdict.kind === "open" ? marked : { ...marked, decidedBy: part }, verdict };
}

/** @param part the last one */
function judge(state: JoinState, part: number): JoinVerdict {
  const { open, done, failed } = countParts(state);
  const { join } = state;
  if (join === "none") {
    if (open > 0) return { kind: "open" };
    return failed > 0 ? { kind: "failed", part: state.parts.indexOf("-") } : { kind: "empty" };
  }
  if (join === "all") {
    if (failed > 0) return { kind: "failed", part: state.parts.indexOf("-") };
    if (open > 0) return { kind: "open" };
    return done > 0 ? { kind: "joined" } : { kind: "empty" };
  }
  if (done >= join) return { kind: "joined" };
  if (done + open >= join) return { kind: "open" };
  return failed > 0
    ? { kind: "failed", part: state.parts[part] === "-" ? part : state.parts.lastIndexOf("-") }
    : { kind: "empty" };
}

/** What to do with a fan-out of no parts at all. */
export function judgeEmpty(join: Join): JoinVerdict {
  return join === "all" ? { kind: "joined" } : { kind: "empty" };
}
