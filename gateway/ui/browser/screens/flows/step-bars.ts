import type { RunReport, RunStepReport } from "../../../../../contract/events/flow-run.ts";

/** A part of a run's time, from 0 to 1. */
export interface Bar {
  readonly from: number;
  readonly width: number;
  readonly isGood: boolean;
}

export interface StepBars {
  readonly step: RunStepReport;
  /** One for each try; for a step without tries that has begun, one for all of its time. */
  readonly bars: readonly Bar[];
  /** From its beginning to the end of its last try, or until now. */
  readonly durationMs: number | undefined;
}

const LEAST = 0.004;

/** When each step of a run did something, as parts of the run's time. */
export function stepBars(run: Pick<RunReport, "startedAt" | "endedAt" | "steps">, now: number): StepBars[] {
  const from = Date.parse(run.startedAt);
  const to = Math.max(run.endedAt === undefined ? now : Date.parse(run.endedAt), from + 1);
  const bar = (at: number, until: number, isGood: boolean): Bar => {
    const begins = Math.min(1 - LEAST, Math.max(0, (at - from) / (to - from)));
    const width = Math.max(LEAST, Math.min(1, (until - from) / (to - from)) - begins);
    return { from: begins, width, isGood };
  };
  return run.steps.map((step, at) => {
    const { startedAt, attempts, state } = step;
    const begun = startedAt === undefined ? undefined : Date.parse(startedAt);
    const isUnderWay = state === "running" || state === "waiting" || state === "retrying";
    const next = run.steps.slice(at + 1).find((other) => other.startedAt !== undefined)?.startedAt;
    const last = attempts.at(-1);
    const ended = isUnderWay
      ? to
      : last
        ? Date.parse(last.at) + last.durationMs
        : next === undefined
          ? to
          : Date.parse(next);
    const tries = attempts.map((attempt) =>
      bar(
        Date.parse(attempt.at),
        Date.parse(attempt.at) + attempt.durationMs,
        attempt.status !== undefined && attempt.status >= 200 && attempt.status < 300,
      ),
    );
    const isWhole = begun !== undefined && (attempts.length === 0 || isUnderWay);
    return {
      step,
      bars: isWhole ? [bar(begun, ended, state !== "failed"), ...tries] : tries,
      durationMs: begun === undefined ? undefined : Math.max(0, ended - begun),
    };
  });
}
