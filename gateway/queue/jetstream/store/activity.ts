import { randomUUID } from "node:crypto";
import type { Sharer } from "./limit-share.ts";

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

interface OwnLane {
  readonly accepted: Minute;
  readonly finished: Minute;
  running: number;
  free: number;
  held: number;
}

/** What only the processes know: calls of a lane in the last minute, and under way now. */
export interface LaneActivity {
  readonly accepted: number;
  readonly finished: number;
  readonly running: number;
  /** Those of them that are free of places; absent when none is. */
  readonly free?: number;
  /** In hand, until what became of them is stored: those that run and those that wait for a place. */
  readonly held: number;
}

/** Of what other processes have told; they do so every second. */
const MAX_AGE_MS = 5000;

/**
 * Counts what this process does with calls, and hears what others tell of themselves. Lanes go by their subjects; all
 * times are milliseconds of a clock of this process that only goes forward.
 */
export class Activity {
  /** Names this process to the others. */
  readonly self: string = randomUUID();
  readonly #own = new Map<string, OwnLane>();
  readonly #others = new Map<string, { readonly at: number; readonly lanes: Readonly<Record<string, LaneActivity>> }>();

  accepted(subject: string, now: number): void {
    this.#of(subject).accepted.count(Math.floor(now / 1000));
  }

  started(subject: string): void {
    this.#of(subject).running++;
  }

  /** A call under way has given up all places. */
  freed(subject: string): void {
    this.#of(subject).free++;
  }

  /** @param free whether it was free of places */
  ended(subject: string, free = false): void {
    const own = this.#of(subject);
    own.running--;
    if (free) own.free--;
  }

  taken(subject: string): void {
    this.#of(subject).held++;
  }

  released(subject: string): void {
    this.#of(subject).held--;
  }

  finished(subject: string, now: number): void {
    this.#of(subject).finished.count(Math.floor(now / 1000));
  }

  /** To be told to others. */
  own(now: number): Record<string, LaneActivity> {
    const second = Math.floor(now / 1000);
    const lanes: Record<string, LaneActivity> = {};
    for (const [subject, own] of this.#own) {
      const activity = activityOf(own, second);
      if (activity.accepted + activity.finished + activity.running + activity.held > 0) lanes[subject] = activity;
      else this.#own.delete(subject);
    }
    return lanes;
  }

  hear(process: string, lanes: Readonly<Record<string, LaneActivity>>, now: number): void {
    this.#others.set(process, { at: now, lanes });
  }

  /** Of all processes that have been heard lately, by the subject of the lane. */
  all(now: number): Map<string, LaneActivity> {
    const sum = new Map<string, LaneActivity>(Object.entries(this.own(now)));
    for (const [, lanes] of this.#heard(now)) {
      for (const [subject, activity] of Object.entries(lanes)) sum.set(subject, add(sum.get(subject), activity));
    }
    return sum;
  }

  /** Of all processes that have been heard lately. */
  of(subject: string, now: number): LaneActivity {
    const own = this.#own.get(subject);
    let sum = own ? activityOf(own, Math.floor(now / 1000)) : NONE;
    for (const [, lanes] of this.#heard(now)) {
      const activity = lanes[subject];
      if (activity) sum = add(sum, activity);
    }
    return sum;
  }

  /** Calls free of places, in all processes that have been heard lately. */
  free(subject: string, now: number): number {
    let free = this.#own.get(subject)?.free ?? 0;
    for (const [, lanes] of this.#heard(now)) free += lanes[subject]?.free ?? 0;
    return free;
  }

  /** Other processes that have calls of a lane under way. */
  sharers(subject: string, now: number): Sharer[] {
    const sharers: Sharer[] = [];
    for (const [process, lanes] of this.#heard(now)) {
      const { running = 0, free = 0 } = lanes[subject] ?? {};
      if (running > free) sharers.push({ process, taken: running - free });
    }
    return sharers;
  }

  *#heard(now: number): Generator<[process: string, lanes: Readonly<Record<string, LaneActivity>>]> {
    for (const [process, { at, lanes }] of this.#others) {
      if (now - at > MAX_AGE_MS) this.#others.delete(process);
      else yield [process, lanes];
    }
  }

  #of(subject: string): OwnLane {
    let own = this.#own.get(subject);
    if (!own) {
      own = { accepted: new Minute(), finished: new Minute(), running: 0, free: 0, held: 0 };
      this.#own.set(subject, own);
    }
    return own;
  }
}

const NONE: LaneActivity = { accepted: 0, finished: 0, running: 0, held: 0 };

function activityOf({ accepted, finished, running, free, held }: OwnLane, second: number): LaneActivity {
  const counts = { accepted: accepted.total(second), finished: finished.total(second), running, held };
  return free > 0 ? { ...counts, free } : counts;
}

function add(a: LaneActivity = NONE, b: LaneActivity): LaneActivity {
  // Processes of an earlier release know none.
  const free = (a.free ?? 0) + (b.free ?? 0);
  return {
    accepted: a.accepted + b.accepted,
    finished: a.finished + b.finished,
    running: a.running + b.running,
    held: a.held + b.held,
    ...(free > 0 && { free }),
  };
}
