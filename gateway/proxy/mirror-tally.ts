import { Tally, type TallyReport } from "../../kit/histogram.ts";
import type { MirrorResult } from "../core/traffic/compare-answers.ts";

/** Upper bounds of how long answers took, in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** What was counted of the copies that one version got, as it crosses to another thread. */
export interface MirrorReport {
  readonly results: readonly (readonly [MirrorResult, number])[];
  readonly own: TallyReport;
  readonly copies: TallyReport;
}

/** Counts the copies of calls that one version got. */
export class MirrorTally {
  readonly results = new Map<MirrorResult, number>();
  /** Of the calls that were copied, in seconds to their last byte. */
  readonly own = new Tally(BUCKETS);
  /** The same of the copies. */
  readonly copies = new Tally(BUCKETS);

  count(result: MirrorResult, times = 1): void {
    this.results.set(result, (this.results.get(result) ?? 0) + times);
  }

  add({ results, own, copies }: MirrorReport): void {
    for (const [result, times] of results) this.count(result, times);
    this.own.add(own);
    this.copies.add(copies);
  }

  report(): MirrorReport {
    return { results: [...this.results], own: this.own, copies: this.copies };
  }
}
