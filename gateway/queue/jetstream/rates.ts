import { type Lane, laneSubject } from "./names.ts";

const WINDOW_S = 60;

/** Events of the last minute, by second. */
class Minute {
  readonly #counts = new Uint32Array(WINDOW_S);
  readonly #seconds = new Float64Array(WINDOW_S);

  count(second: number): void {
    const slot = second % WINDOW_S;
    if (this.#seconds[slot] !== second) this.#counts[slot] = 0;
    this.#seconds[slot] = second;
    this.#counts[slot] = (this.#counts[slot] as number) + 1;
  }

  total(second: number): number {
    let sum = 0;
    for (let slot = 0; slot < WINDOW_S; slot++) {
      if ((this.#seconds[slot] as number) > second - WINDOW_S) sum += this.#counts[slot] as number;
    }
    return sum;
  }
}

/** Calls of a lane in the last minute. */
export interface LaneRates {
  readonly accepted: number;
  readonly finished: number;
}

/** Counts what this process accepts and finishes, and hears what others tell of themselves. */
export class Rates {
  readonly #own = new Map<string, { readonly accepted: Minute; readonly finished: Minute }>();
  readonly #others = new Map<string, { readonly at: number; readonly lanes: Readonly<Record<string, LaneRates>> }>();

  accepted(lane: Lane, now: number): void {
    this.#of(lane).accepted.count(Math.floor(now / 1000));
  }

  finished(lane: Lane, now: number): void {
    this.#of(lane).finished.count(Math.floor(now / 1000));
  }

  /** To be told to others. */
  own(now: number): Record<string, LaneRates> {
    const second = Math.floor(now / 1000);
    const lanes: Record<string, LaneRates> = {};
    for (const [subject, minutes] of this.#own) {
      const rates = { accepted: minutes.accepted.total(second), finished: minutes.finished.total(second) };
      if (rates.accepted + rates.finished > 0) lanes[subject] = rates;
      else this.#own.delete(subject);
    }
    return lanes;
  }

  hear(process: string, lanes: Readonly<Record<string, LaneRates>>, now: number): void {
    this.#others.set(process, { at: now, lanes });
  }

  /** Of all processes that have been heard lately, by the subject of the lane. */
  all(now: number, maxAgeMs: number): Map<string, LaneRates> {
    const sum = new Map<string, LaneRates>(Object.entries(this.own(now)));
    for (const [process, { at, lanes }] of this.#others) {
      if (now - at > maxAgeMs) this.#others.delete(process);
      else
        for (const [subject, { accepted, finished }] of Object.entries(lanes)) {
          const so = sum.get(subject);
          sum.set(subject, { accepted: accepted + (so?.accepted ?? 0), finished: finished + (so?.finished ?? 0) });
        }
    }
    return sum;
  }

  #of(lane: Lane) {
    const subject = laneSubject(lane);
    let minutes = this.#own.get(subject);
    if (!minutes) {
      minutes = { accepted: new Minute(), finished: new Minute() };
      this.#own.set(subject, minutes);
    }
    return minutes;
  }
}
