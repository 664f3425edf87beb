import { randomUUID } from "node:crypto";
import { LastMinute } from "../../last-minute.ts";
import { isCallbackSubject } from "../client/names.ts";
import type { Sharer } from "./limit-share.ts";

interface OwnActivity {
  readonly accepted: LastMinute;
  readonly finished: LastMinute;
  running: number;
  free: number;
  held: number;
}

/** What only the processes know: calls of a function queue in the last minute, and under way now. */
export interface QueueActivity {
  readonly accepted: number;
  readonly finished: number;
  readonly running: number;
  /** Those of them that are without a slot; absent when none is. */
  readonly free?: number;
  /** In hand, until what became of them is stored: those that run and those that wait for a slot. */
  readonly held: number;
}

/** How processes report their activity to each other. */
export interface ActivityReport {
  readonly process: string;
  /** By the subject of the function queue. The name is that of earlier releases. */
  readonly lanes: Readonly<Record<string, QueueActivity>>;
}

interface Heard {
  readonly at: number;
  readonly functionQueues: Readonly<Record<string, QueueActivity>>;
  /** Calls that count for the limit of a function, in all of its queues; see {@link functionIn}. */
  readonly functions: ReadonlyMap<string, number>;
}

/** Of what other processes have told; they do so every second. */
const MAX_AGE_MS = 5000;

/**
 * Counts what this process does with calls, and hears what others tell of themselves. Function queues go by their subjects; all
 * times are milliseconds of a clock of this process that only goes forward.
 */
export class Activity {
  /** Names this process to the others. */
  readonly self: string = randomUUID();
  readonly #own = new Map<string, OwnActivity>();
  readonly #others = new Map<string, Heard>();

  accepted(subject: string, now: number): void {
    this.#of(subject).accepted.add(1, now);
  }

  started(subject: string): void {
    this.#of(subject).running++;
  }

  /** A call under way has given up all slots. */
  freed(subject: string): void {
    this.#of(subject).free++;
  }

  /** @param free whether it was without a slot */
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
  own(now: number): Record<string, QueueActivity> {
    const functionQueues: Record<string, QueueActivity> = {};
    for (const [subject, own] of this.#own) {
      const activity = activityOf(own, now);
      if (activity.accepted + activity.finished + activity.running + activity.held > 0)
        functionQueues[subject] = activity;
      else this.#own.delete(subject);
    }
    return functionQueues;
  }

  hear(process: string, functionQueues: Readonly<Record<string, QueueActivity>>, now: number): void {
    this.#others.set(process, { at: now, functionQueues, functions: takenByFunction(functionQueues) });
  }

  /** Of all processes that have been heard lately, by the subject of the function queue. */
  all(now: number): Map<string, QueueActivity> {
    const sum = new Map<string, QueueActivity>(Object.entries(this.own(now)));
    for (const [, functionQueues] of this.#heard(now)) {
      for (const [subject, activity] of Object.entries(functionQueues))
        sum.set(subject, add(sum.get(subject), activity));
    }
    return sum;
  }

  /** Of all processes that have been heard lately. */
  of(subject: string, now: number): QueueActivity {
    const own = this.#own.get(subject);
    let sum = own ? activityOf(own, now) : NONE;
    for (const [, functionQueues] of this.#heard(now)) {
      const activity = functionQueues[subject];
      if (activity) sum = add(sum, activity);
    }
    return sum;
  }

  /** Calls without a slot, in all processes that have been heard lately. */
  free(subject: string, now: number): number {
    let free = this.#own.get(subject)?.free ?? 0;
    for (const [, functionQueues] of this.#heard(now)) free += functionQueues[subject]?.free ?? 0;
    return free;
  }

  /** Other processes that have calls of a function queue under way. */
  sharers(subject: string, now: number): Sharer[] {
    const sharers: Sharer[] = [];
    for (const [process, functionQueues] of this.#heard(now)) {
      const taken = takenIn(functionQueues[subject]);
      if (taken > 0) sharers.push({ process, taken });
    }
    return sharers;
  }

  /**
   * Other processes that have calls of a function queue's function under way, in whatever queue.
   * @param inMany whether this process takes calls of the function from other queues, too
   * @returns none where all are of this one function queue, whose calls the server counts
   */
  sharersOfFunction(
    { subject, functionKey }: { readonly subject: string; readonly functionKey: string },
    inMany: boolean,
    now: number,
  ): readonly Sharer[] {
    if (this.#others.size === 0) return NOBODY; // asked for each call
    const sharers: Sharer[] = [];
    let elsewhere = inMany;
    for (const [process, functionQueues, functions] of this.#heard(now)) {
      const taken = functions.get(functionKey) ?? 0;
      if (taken === 0) continue;
      sharers.push({ process, taken });
      elsewhere ||= taken > takenIn(functionQueues[subject]);
    }
    return elsewhere ? sharers : [];
  }

  *#heard(
    now: number,
  ): Generator<[process: string, functionQueues: Heard["functionQueues"], functions: Heard["functions"]]> {
    for (const [process, { at, functionQueues, functions }] of this.#others) {
      if (now - at > MAX_AGE_MS) this.#others.delete(process);
      else yield [process, functionQueues, functions];
    }
  }

  #of(subject: string): OwnActivity {
    let own = this.#own.get(subject);
    if (!own) {
      own = { accepted: new LastMinute(), finished: new LastMinute(), running: 0, free: 0, held: 0 };
      this.#own.set(subject, own);
    }
    return own;
  }
}

const NOBODY: readonly Sharer[] = [];
const NONE: QueueActivity = { accepted: 0, finished: 0, running: 0, held: 0 };

function activityOf({ accepted, finished, running, free, held }: OwnActivity, now: number): QueueActivity {
  const counts = { accepted: accepted.total(now), finished: finished.total(now), running, held };
  return free > 0 ? { ...counts, free } : counts;
}

function add(a: QueueActivity = NONE, b: QueueActivity): QueueActivity {
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

/** Calls of a function queue that count for its function's limit. */
function takenIn({ running, free = 0 }: QueueActivity = NONE): number {
  return Math.max(0, running - free);
}

/** Namespace and name, of the subject of a function queue: names a function, whatever the queue. */
export function functionIn(subject: string): string {
  return subject.slice(subject.indexOf(".") + 1);
}

function takenByFunction(functionQueues: Readonly<Record<string, QueueActivity>>): Map<string, number> {
  const functions = new Map<string, number>();
  for (const [subject, functionQueue] of Object.entries(functionQueues)) {
    const taken = isCallbackSubject(subject) ? 0 : takenIn(functionQueue);
    if (taken > 0) functions.set(functionIn(subject), (functions.get(functionIn(subject)) ?? 0) + taken);
  }
  return functions;
}
