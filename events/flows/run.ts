import { createHash } from "node:crypto";
import { FaasError } from "../../contract/errors.ts";
import type { RunState } from "../../contract/events/flow-run.ts";
import { type JoinState, reopenJoin } from "./join.ts";
import type { StepError } from "./step-error.ts";

/** The latest visit of a run to a step. */
export interface StepMark {
  /** Visits are numbered along the way of a run. */
  readonly visit: number;
  /** The event that the step was given. */
  readonly ref: string;
  readonly at: number;
  /** How often it was begun; more than once, its effect may be there already. */
  readonly tries: number;
}

/** What is known of a run beside its events. */
export interface Run {
  readonly flow: string;
  readonly state: RunState;
  readonly startedAt: number;
  readonly deadlineAt: number;
  readonly endedAt?: number;
  /** The event that started it. */
  readonly startedBy: { readonly source: string; readonly id: string; readonly type: string; readonly ref?: string };
  /** Versions of functions, by the keys of their triggers; what has the function's calls otherwise. */
  readonly pins: Readonly<Record<string, string>>;
  /** Goes up with each resumption. Events of an earlier round are of no interest any more. */
  readonly round: number;
  readonly steps: Readonly<Record<string, StepMark>>;
  readonly joins: Readonly<Record<string, JoinState>>;
  readonly error?: StepError & { readonly step: string };
  /** The step whose empty answer has ended it. */
  readonly endedAtStep?: string;
  /** Of the event that came out. */
  readonly result?: RunResult;
}

export interface RunResult {
  readonly ref: string;
  readonly bytes: number;
  readonly contentType?: string;
  /** Its beginning, where it is text. */
  readonly preview?: string;
}

/** A loop of `catch` and `next` ends after so many steps. */
export const MAX_VISITS = 250;

/** The run that an event starts. The same event starts the same one, however often it is delivered. */
export function runNameOf(namespace: string, flow: string, ref: string): string {
  return `${flow}.${createHash("sha256").update(`${namespace}/${flow}/${ref}`).digest("hex").slice(0, 20)}`;
}

/** Why an event of a run is not looked at any more; undefined when it is. */
export function staleness(run: Run | undefined, round: number, now: number): string | undefined {
  if (!run) return "the run is not kept any more";
  if (run.state !== "running") return `the run is ${run.state}`;
  if (round !== run.round) return "the run was resumed since";
  return now >= run.deadlineAt ? "the run has taken too long" : undefined;
}

export function markStep(run: Run, key: string, visit: number, ref: string, now: number): Run {
  const before = run.steps[key];
  const again = before?.visit === visit;
  const mark = { visit, ref, at: again ? before.at : now, tries: again ? before.tries + 1 : 1 };
  return { ...run, steps: { ...run.steps, [key]: mark } };
}

export type RunEnd =
  | { readonly state: "succeeded"; readonly result?: RunResult; readonly endedAtStep?: string }
  | { readonly state: "failed"; readonly error: StepError & { readonly step: string } }
  | { readonly state: "cancelled" | "timed-out" };

/** Ends what has not ended yet. */
export function endRun(run: Run, end: RunEnd, now: number): Run {
  if (run.state !== "running") return run;
  return { ...run, ...end, endedAt: now };
}

/** @throws {FaasError} `conflict` */
export function cancelRun(run: Run, now: number): Run {
  if (run.state !== "running") throw new FaasError("conflict", `the run has ended: it is ${run.state}`);
  return endRun(run, { state: "cancelled" }, now);
}

/**
 * Has a run go on where it has stopped.
 * @returns the run, and the steps to do again
 * @throws {FaasError} `conflict`
 */
export function resumeRun(
  run: Run,
  order: readonly string[],
  timeoutMs: number,
  now: number,
): { readonly run: Run; readonly step: string } {
  if (run.state !== "failed" && run.state !== "timed-out" && run.state !== "cancelled") {
    throw new FaasError(
      "conflict",
      `the run is ${run.state}; only one that has failed, timed out or was cancelled goes on`,
    );
  }
  const step = run.error?.step ?? latestStep(run, order);
  if (step === undefined) throw new FaasError("conflict", "the run has not begun any step that the flow has");
  if (!order.includes(step)) throw new FaasError("conflict", `the flow has no step ${step} any more`);
  if (!run.steps[step]) throw new FaasError("conflict", `the run has never begun its step ${step}`);
  const { endedAt: _, error: __, endedAtStep: ___, ...rest } = run;
  const join = run.joins[step];
  return {
    step,
    run: {
      ...rest,
      state: "running",
      // With the functions as they are now: they may have been mended.
      pins: {},
      round: run.round + 1,
      deadlineAt: now + timeoutMs,
      joins: join ? { ...run.joins, [step]: reopenJoin(join) } : run.joins,
    },
  };
}

/** The one with the highest visit. */
export function latestStep({ steps }: Run, order: readonly string[]): string | undefined {
  let latest: string | undefined;
  for (const [key, { visit }] of Object.entries(steps)) {
    if (!order.includes(key)) continue;
    if (latest === undefined || visit > (steps[latest]?.visit ?? -1)) latest = key;
  }
  return latest;
}
