import type { ObservedCall } from "./call-record.ts";

/** Why a call is kept for longer than others. */
export interface CallMarks {
  readonly error: boolean;
  readonly slow: boolean;
  readonly cold: boolean;
}

/** From when on a call is slow, in milliseconds by `name.namespace`. */
export type SlowFrom = ReadonlyMap<string, number>;

/** A call that takes longer is slow, whatever others take. */
export const SLOW_MS = 1_000;
/** Of one function in a second, ordinary ones and those with a mark; and of all functions. */
const MOST_PER_SECOND = { ordinary: 20, marked: 50 } as const;
const MOST_OF_ALL = { ordinary: 100, marked: 200 } as const;
const SECOND_MS = 1_000;

interface Spent {
  ordinary: number;
  marked: number;
}

/** How many calls were not kept because too many came, by `name.namespace`. */
export class LeftOut {
  #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  forget(name: string): void {
    this.#counts.delete(name);
  }

  /** All, which begin anew. @returns undefined when there are none */
  take(): ReadonlyMap<string, number> | undefined {
    if (this.#counts.size === 0) return undefined;
    const counts = this.#counts;
    this.#counts = new Map();
    return counts;
  }
}

/** Decides which calls are worth to be kept for those who look. That many come must not make it cost more. */
export class CallChoice {
  /** Whether any are kept now. */
  on = false;
  #slowFrom: SlowFrom = new Map();
  #second = Number.NEGATIVE_INFINITY;
  #all: Spent = { ordinary: 0, marked: 0 };
  readonly #spent = new Map<string, Spent>();

  /** @param slowFrom of functions that are called; others have {@link SLOW_MS} */
  learn(on: boolean, slowFrom: SlowFrom): void {
    this.on = on;
    this.#slowFrom = slowFrom;
  }

  /**
   * @param record has ended
   * @returns undefined when it is none to be kept; `tooMany` when there have been enough of its kind in this second
   */
  judge(record: ObservedCall): CallMarks | "tooMany" | undefined {
    const { kind, functionName, status, broken, errorCode, cold, arrivedAt, endedAt = arrivedAt } = record;
    if (!this.on || functionName === undefined || kind === "intake" || kind === "event") return undefined;
    const error = status >= 500 || status === 0 || broken || errorCode !== undefined;
    const slow = endedAt - arrivedAt > (this.#slowFrom.get(functionName) ?? SLOW_MS);
    const marks = { error, slow, cold };
    return this.#spend(functionName, error || slow || cold ? "marked" : "ordinary", endedAt) ? marks : "tooMany";
  }

  #spend(name: string, kind: keyof Spent, now: number): boolean {
    // What other threads tell comes a little later than it has ended.
    if (now - this.#second >= SECOND_MS) {
      this.#second = now;
      this.#all = { ordinary: 0, marked: 0 };
      this.#spent.clear();
    }
    if (this.#all[kind] >= MOST_OF_ALL[kind]) return false;
    let spent = this.#spent.get(name);
    if (!spent) {
      spent = { ordinary: 0, marked: 0 };
      this.#spent.set(name, spent);
    }
    if (spent[kind] >= MOST_PER_SECOND[kind]) return false;
    spent[kind]++;
    this.#all[kind]++;
    return true;
  }
}
