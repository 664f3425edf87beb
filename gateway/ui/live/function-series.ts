import { SERIES_STEPS } from "../../../contract/ui/series.ts";
import { DURATION_BUCKETS } from "../../proxy/function-meter.ts";
import { CODE_CLASSES, COLUMN, numberAt } from "./columns.ts";
import { percentile } from "./percentile.ts";
import { StepRing, type StepRingShape, type StoredRing } from "./step-ring.ts";

export interface RecentRate {
  /** Calls a second over the last minute, the share of them that failed, and the 95th percentile in milliseconds. */
  readonly rate: number;
  readonly errors: number;
  readonly p95Ms: number | undefined;
  /** Calls a second in each of the last 15 whole minutes, oldest first. */
  readonly spark: readonly number[];
}

const SPARK_MINUTES = 15;
const MINUTE_S = 60;
const TENS = 6;
/** Rates of the last minute come from the second ring, the line of minutes from the third. */
const AT_HAND = [0, TENS, SPARK_MINUTES] as const;

export const RING_SHAPES: readonly StepRingShape[] = SERIES_STEPS.map((step, place) => ({
  ...step,
  atHand: AT_HAND[place] ?? 0,
}));

/** What is known of one function, in all steps of time. */
export class FunctionSeries {
  readonly rings: readonly StepRing[];
  /** The last second with a call. */
  #calledAt = Number.NEGATIVE_INFINITY;
  #recent: { readonly minute: number; readonly rate: RecentRate } | undefined;

  constructor(rings: readonly StepRing[]) {
    this.rings = rings;
  }

  static begin(second: number): FunctionSeries {
    return new FunctionSeries(RING_SHAPES.map((shape) => new StepRing(shape, Math.floor(second / shape.seconds))));
  }

  /** @throws {RangeError} for what is not of rings like these */
  static restore(stored: readonly StoredRing[]): FunctionSeries {
    if (stored.length !== RING_SHAPES.length) throw new RangeError("not as many rings");
    return new FunctionSeries(RING_SHAPES.map((shape, place) => StepRing.restore(shape, stored[place] as StoredRing)));
  }

  /** @param point of the second; those of later ones follow */
  add(second: number, point: Int32Array): void {
    for (const ring of this.rings) {
      const index = Math.floor(second / ring.shape.seconds);
      // What is stored may be ahead of what comes.
      if (index >= ring.last) ring.add(index, point);
    }
    if (callsOf(point) > 0) this.#calledAt = second;
  }

  /** What lists show of it. Nothing has to be counted for a function that nobody calls. */
  recent(second: number): RecentRate {
    const minute = Math.floor(second / MINUTE_S);
    const known = this.#recent;
    const isQuiet = second - this.#calledAt > MINUTE_S + MINUTE_S / TENS;
    if (isQuiet && known?.minute === minute && known.rate.rate === 0) return known.rate;
    const [, tens, minutes] = this.rings as [StepRing, StepRing, StepRing];
    const last = Math.floor((second * TENS) / MINUTE_S);
    const sum = tens.sum(last - TENS, last + 1);
    const calls = callsOf(sum);
    const p95 = percentile(DURATION_BUCKETS, (place) => numberAt(sum, COLUMN.buckets + place), 0.95);
    const rate = {
      rate: calls / Math.max(1, numberAt(sum, COLUMN.known)),
      errors: calls === 0 ? 0 : failedOf(sum) / calls,
      p95Ms: p95 === undefined ? undefined : p95 * 1000,
      spark:
        known?.minute === minute
          ? known.rate.spark
          : Array.from({ length: SPARK_MINUTES }, (_, place) => {
              const of = minutes.sum(minute - SPARK_MINUTES + place, minute - SPARK_MINUTES + place + 1);
              return callsOf(of) / Math.max(1, numberAt(of, COLUMN.known));
            }),
    };
    this.#recent = { minute, rate };
    return rate;
  }
}

/** Calls that ended. */
export function callsOf(point: Int32Array): number {
  let calls = 0;
  for (let place = 0; place < CODE_CLASSES.length; place++) calls += numberAt(point, COLUMN.codes + place);
  return calls;
}

/** Those that failed: by the function, by the platform, or because their answer broke off. */
export function failedOf(point: Int32Array): number {
  return (
    numberAt(point, COLUMN.codes + CODE_CLASSES.indexOf("5xx")) +
    numberAt(point, COLUMN.codes + CODE_CLASSES.indexOf("other"))
  );
}
