import { formatDuration } from "../../../contract/duration.ts";
import type { RolloutStep } from "../../../contract/versions/rollout-settings.ts";
import {
  isUnderWay,
  MAX_MEASUREMENTS,
  type RolloutMeasurement,
  type RolloutState,
} from "../../../contract/versions/rollout-state.ts";
import { formatPercent, WHOLE } from "../../../contract/versions/traffic.ts";
import { type Evaluation, evaluateGates, type QueryResult, type TrialNumbers } from "./evaluate-gates.ts";

/** What gateways see of the two versions. */
export interface RolloutSight {
  /** Ready replicas; and why none comes up, where that is known. */
  readonly candidate: { readonly ready: number; readonly problem?: string | undefined };
  readonly stable: { readonly ready: number };
  /** Since the step began. */
  readonly counts: TrialNumbers;
  /** What Prometheus last said, where it is asked. */
  readonly query?: QueryResult | undefined;
}

/** Where a rollout stands in time. Intervals are by a clock that nobody sets. */
export interface RolloutTimes {
  /** Milliseconds since 1970, for what is written down. */
  readonly now: number;
  /** Since its phase and step began. */
  readonly inPhaseMs: number;
  /** Since it began. */
  readonly inAllMs: number;
  /** Since its last measurement; infinite where there is none. */
  readonly sinceMeasuredMs: number;
}

export interface RolloutMove {
  readonly next: RolloutState;
  /** `measured`: it stays where it is. `entered`: a step, or the end, that the hook is asked for before. */
  readonly kind: "measured" | "entered" | "held" | "failed";
}

/** Longest wait for the new version's replicas. */
export const WARMING_MS = 600_000;
/** Between two evaluations. */
export const EVALUATE_EVERY_MS = 5_000;
/** Where a rollout waits for somebody it is written down so often what the numbers are, unless they say something else. */
const NOTE_EVERY_MS = 60_000;
/** With so many times the calls that are needed, one evaluation is enough. */
const PLENTY = 10;

/** The next state of a rollout, with its reason; undefined while there is nothing to write down. */
export function advance(state: RolloutState, sight: RolloutSight, times: RolloutTimes): RolloutMove | undefined {
  if (!isUnderWay(state)) return undefined;
  const { maxMs } = state.settings;
  if (times.inAllMs >= maxMs) return abort(state, `it was not done within ${formatDuration(maxMs)}`, times);
  if (state.phase === "warming") return warm(state, sight, times);
  const { ready, problem } = sight.candidate;
  if (problem !== undefined && ready === 0) return fail(state, `${state.to} cannot start: ${problem}`, times);
  // Somebody has approved the step before, and this one has no time of its own.
  if (state.phase === "step" && !hasTime(state.settings.steps, state.step)) {
    return enter(state, state.step, state.reason ?? "approved", times);
  }
  return observe(state, sight, times);
}

/** A rollout whose hook does not let it go on; undefined where that is written down already. */
export function holdForHook(state: RolloutState, why: string, { now }: RolloutTimes): RolloutState | undefined {
  const reason = `the hook holds it: ${why}`;
  if (state.phase === "step") return { ...state, phase: "holding", since: now, reason };
  return state.reason === reason ? undefined : { ...state, reason };
}

/** Ready replicas that the new version needs before its first call. */
export function replicasToWarm({ settings }: Pick<RolloutState, "settings">, stableReady: number): number {
  const { warm, steps } = settings;
  if (warm !== "match") return warm;
  return Math.max(1, Math.ceil((stableReady * (steps[0]?.share ?? WHOLE)) / WHOLE));
}

function warm(state: RolloutState, { candidate, stable }: RolloutSight, times: RolloutTimes): RolloutMove | undefined {
  const { ready, problem } = candidate;
  const needed = replicasToWarm(state, stable.ready);
  if (ready >= needed) return enter(state, 0, `${state.to} has ${count(ready, "ready replica")}`, times);
  if (problem !== undefined && ready === 0) return abort(state, `${state.to} cannot start: ${problem}`, times);
  if (times.inPhaseMs < WARMING_MS) return undefined;
  return abort(
    state,
    `${state.to} had ${ready} of ${needed} replicas ready after ${formatDuration(WARMING_MS)}`,
    times,
  );
}

function observe(
  state: RolloutState,
  { counts: numbers, query }: RolloutSight,
  times: RolloutTimes,
): RolloutMove | undefined {
  const { settings, phase, step: at } = state;
  const step = settings.steps[at];
  const last = state.measurements.at(-1);
  const before = last?.step === at ? last : undefined;
  const evaluation = evaluateGates(settings, numbers, query);
  const news = evaluation.verdict !== "no-data" && (before?.verdict ?? "no-data") === "no-data";
  const due = before === undefined ? news || times.inPhaseMs >= EVALUATE_EVERY_MS : news || isDue(times);
  const measured = due ? measure(state, numbers, evaluation, times) : state;

  if (evaluation.verdict === "bad") {
    const plenty = numbers.candidate.calls >= PLENTY * settings.minRequests;
    const certain = due && (before?.verdict === "bad" || plenty);
    const known = phase === "paused" && settings.onFail === "pause";
    if (certain && !known) return fail(measured, evaluation.reason ?? "a condition is not kept", times);
  } else if (
    phase === "holding" ||
    (phase === "step" && times.inPhaseMs >= (step?.forMs ?? Number.POSITIVE_INFINITY))
  ) {
    const decided = goOn(due ? measured : measure(state, numbers, evaluation, times), evaluation, numbers, times);
    if (decided) return decided;
  }
  return due && isWorthWriting(state, before, numbers, evaluation, times)
    ? { kind: "measured", next: measured }
    : undefined;
}

function isDue({ sinceMeasuredMs }: RolloutTimes): boolean {
  return sinceMeasuredMs >= EVALUATE_EVERY_MS;
}

function isWorthWriting(
  { phase }: RolloutState,
  before: RolloutMeasurement | undefined,
  { candidate, stable }: TrialNumbers,
  { verdict }: Evaluation,
  { sinceMeasuredMs }: RolloutTimes,
): boolean {
  if (before?.verdict !== verdict) return true;
  if (before.candidate.calls === candidate.calls && before.stable.calls === stable.calls) return false;
  return phase === "step" || sinceMeasuredMs >= NOTE_EVERY_MS;
}

/** Its time is over. @returns undefined where it goes on waiting */
function goOn(
  state: RolloutState,
  evaluation: Evaluation,
  { candidate }: TrialNumbers,
  times: RolloutTimes,
): RolloutMove | undefined {
  const { settings, step: at } = state;
  const { verdict, likely = false, reason = "all conditions are kept" } = evaluation;
  const next = at + 1;
  if (verdict === "good") return enter(state, next, `${reason}, in ${count(candidate.calls, "call")}`, times);
  // What many calls could not settle lies near the limit: what was seen then counts.
  const plenty = candidate.calls >= PLENTY * Math.max(1, settings.minRequests);
  if (verdict === "inconclusive" && likely && plenty) return enter(state, next, reason, times);
  const rule = settings.noData ?? (isWhole(settings.steps[next]) ? "hold" : "advance");
  if (rule === "advance") return enter(state, next, `its time is over; ${reason}`, times);
  if (rule === "abort" && verdict === "no-data") return abort(state, `its time is over; ${reason}`, times);
  if (state.phase === "holding") return undefined;
  return { kind: "held", next: { ...state, phase: "holding", since: times.now, reason } };
}

/** Whether a step goes on by itself after a while. */
function hasTime(steps: readonly RolloutStep[], at: number): boolean {
  const step = steps[at];
  return step?.forMs !== undefined && !isEnd(steps, at);
}

/** Whether nothing is left to wait for at a step. */
function isEnd(steps: readonly RolloutStep[], at: number): boolean {
  const step = steps[at];
  return !step || (at === steps.length - 1 && step.forMs === 0 && isWhole(step));
}

function isWhole(step: RolloutStep | undefined): boolean {
  return step?.share === WHOLE && !step.mirror;
}

function measure(
  state: RolloutState,
  { candidate, stable }: TrialNumbers,
  { verdict, reason }: Evaluation,
  { now }: RolloutTimes,
): RolloutState {
  const measurement: RolloutMeasurement = {
    at: now,
    step: state.step,
    candidate,
    stable,
    verdict,
    ...(reason !== undefined && { reason }),
  };
  return { ...state, measurements: [...state.measurements, measurement].slice(-MAX_MEASUREMENTS) };
}

/** Begins a step, or is done where nothing is left to wait for. */
function enter(state: RolloutState, at: number, why: string, { now }: RolloutTimes): RolloutMove {
  const { steps } = state.settings;
  const step = steps[at];
  if (!step || isEnd(steps, at)) {
    const next: RolloutState = {
      ...state,
      phase: "done",
      step: Math.min(at, steps.length - 1),
      since: now,
      reason: why,
    };
    return { kind: "entered", next };
  }
  const share = `${step.mirror ? "a copy of " : ""}${formatPercent(step.share)}%`;
  const reason = step.forMs === undefined ? `${share} of calls wait for approval; ${why}` : why;
  const phase = step.forMs === undefined ? "paused" : "step";
  return { kind: "entered", next: { ...state, phase, step: at, since: now, reason } };
}

function fail(state: RolloutState, reason: string, times: RolloutTimes): RolloutMove | undefined {
  if (state.settings.onFail === "abort") return abort(state, reason, times);
  if (state.phase === "paused") return undefined;
  return { kind: "failed", next: { ...state, phase: "paused", since: times.now, reason } };
}

function abort(state: RolloutState, reason: string, { now }: RolloutTimes): RolloutMove {
  return { kind: "failed", next: { ...state, phase: "aborted", since: now, reason } };
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
