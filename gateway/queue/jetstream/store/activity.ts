import { randomUUID } from "node:crypto";
import { LastMinute } from "../../last-minute.ts";
import { isCallbackSubject } from "../client/names.ts";
import type { Sharer } from "./limit-share.ts";

interface OwnLane {
  readonly accepted: LastMinute;
  readonly finished: LastMinute;
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

interface Heard {
  readonly at: number;
  readonly lanes: Readonly<Record<string, LaneActivity>>;
  /** Calls that count for the limit of a function, in all of its queues; see {@link functionIn}. */
  readonly functions: ReadonlyMap<string, number>;
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
  readonly #others = new Map<string, Heard>();

  accepted(subject: string, now: number): void {
    this.#of(subject).accepted.add(1, now);
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
    this.#of(subject).finished.add(1, now);
  }

  /** To be told to others. */
  own(now: number): Record<string, LaneActivity> {
    const lanes: Record<string, LaneActivity> = {};
    for (const [subject, own] of this.#own) {
      const activity = activityOf(own, now);
      if (activity.accepted + activity.finished + activity.running + activity.held > 0) lanes[subject] = activity;
      else this.#own.delete(subject);
    }
    return lanes;
  }

  hear(process: string, lanes: Readonly<Record<string, LaneActivity>>, now: number): void {
    this.#others.set(process, { at: now, lanes, functions: takenByFunction(lanes) });
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
    let sum = own ? activityOf(own, now) : NONE;
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
      const taken = takenIn(lanes[subject]);
      if (taken > 0) sharers.push({ process, taken });
    }
    return sharers;
  }

  /**
   * Other processes that have calls of a lane's function under way, in whatever queue.
   * @param inMany whether this process takes calls of the function from other queues, too
   * @returns none where all are of this one lane, whose calls the server counts
   */
  sharersOfFunction(
    { subject, functionKey }: { readonly subject: string; readonly functionKey: string },
    inMany: boolean,
    now: number,
  ): readonly Sharer[] {
    if (this.#others.size === 0) return NOBODY; // asked for each call
    const sharers: Sharer[] = [];
    let elsewhere = inMany;
    for (const [process, lanes, functions] of this.#heard(now)) {
      const taken = functions.get(functionKey) ?? 0;
      if (taken === 0) continue;
      sharers.push({ process, taken });
      elsewhere ||= taken > takenIn(lanes[subject]);
    }
    return elsewhere ? sharers : [];
  }

  *#heard(now: number): Generator<[process: string, lanes: Heard["lanes"], functions: Heard["functions"]]> {
    for (const [process, { at, lanes, functions }] of this.#others) {
      if (now - at > MAX_AGE_MS) this.#others.delete(process);
      else yield [process, lanes, functions];
    }
  }

  #of(subject: string): OwnLane {
    let own = this.#own.get(subject);
    if (!own) {
      own = { accepted: new LastMinute(), finished: new LastMinute(), running: 0, free: 0, held: 0 };
      this.#own.set(subject, own);
    }
    return own;
  }
}

const NOBODY: readonly Sharer[] = [];
const NONE: LaneActivity = { accepted: 0, finished: 0, running: 0, held: 0 };

function activityOf({ accepted, finished, running, free, held }: OwnLane, now: number): LaneActivity {
  const counts = { accepted: accepted.total(now), finished: finished.total(now), running, held };
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

/** Calls of a lane that count for its function's limit. */
function takenIn({ running, free = 0 }: LaneActivity = NONE): number {
  return Math.max(0, running - free);
}

/** Namespace and name, of the subject of a lane: names a function, whatever the queue. */
export function functionIn(subject: string): string {
  return subject.slice(subject.indexOf(".") + 1);
}

function takenByFunction(lanes: Readonly<Record<string, LaneActivity>>): Map<string, number> {
  const functions = new Map<string, number>();
  for (const [subject, lane] of Object.entries(lanes)) {
    const taken = isCallbackSubject(subject) ? 0 : takenIn(lane);
    if (taken > 0) functions.set(functionIn(subject), (functions.get(functionIn(subject)) ?? 0) + taken);
  }
  return functions;
}
