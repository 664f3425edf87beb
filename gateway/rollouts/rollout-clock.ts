import type { RolloutState } from "../../contract/versions/rollout-state.ts";
import type { RolloutTimes } from "../core/rollout/advance.ts";

interface Mark {
  /** Which event it is. */
  readonly key: string;
  /** When that was, by the steady clock. */
  readonly at: number;
}

/**
 * How long ago the events of one rollout were. Their times are by the clocks of whoever wrote them, so these say how old an
 * event was when this gateway first heard of the rollout, and nothing later: a clock that is set moves no step.
 */
export class RolloutClock {
  readonly #wall: () => number;
  readonly #steady: () => number;
  #started: Mark | undefined;
  #phase: Mark | undefined;
  #measured: Mark | undefined;
  #readAt = 0;

  /** @param wall milliseconds since 1970 @param steady milliseconds that only go forward, evenly */
  constructor(wall: () => number, steady: () => number) {
    this.#wall = wall;
    this.#steady = steady;
  }

  read(state: RolloutState): RolloutTimes {
    const steady = this.#steady();
    const { id, startedAt, phase, step, since, measurements } = state;
    const rollout = `${startedAt}/${id}`;
    // What comes up in a rollout that was looked at before has happened since.
    const most = this.#started?.key === rollout ? steady - this.#readAt : Number.POSITIVE_INFINITY;
    const mark = (before: Mark | undefined, key: string, at: number): Mark =>
      before?.key === key ? before : { key, at: steady - Math.min(most, Math.max(0, this.#wall() - at)) };
    const measuredAt = measurements.at(-1)?.at;
    this.#started = mark(this.#started, rollout, startedAt);
    this.#phase = mark(this.#phase, `${rollout}/${phase}/${step}/${since}`, since);
    if (measuredAt !== undefined) this.#measured = mark(this.#measured, `${rollout}/${measuredAt}`, measuredAt);
    this.#readAt = steady;
    return {
      now: this.#wall(),
      inPhaseMs: steady - this.#phase.at,
      inAllMs: steady - this.#started.at,
      sinceMeasuredMs:
        measuredAt === undefined || !this.#measured ? Number.POSITIVE_INFINITY : steady - this.#measured.at,
    };
  }
}
