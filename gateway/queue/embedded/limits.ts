import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { refOf } from "./protocol.ts";

/** How often all limits in use are looked up. */
const POLL_MS = 500;
/** Looks after which a function that has had no call is forgotten. */
const MAX_IDLE_POLLS = 120;

interface Known {
  readonly ref: FunctionRef;
  /** What the thread was told. */
  told: number | undefined;
  underWay: number;
  idlePolls: number;
}

export type Limit = readonly [fn: string, limit: number | null];

/**
 * Keeps the thread told of what `limitOf` says, and sees to it that no call starts beyond that: what the thread was told
 * may be out of date.
 */
export class FunctionLimits {
  readonly #limitOf: (ref: FunctionRef) => number;
  readonly #tell: (limits: readonly Limit[]) => void;
  readonly #known = new Map<string, Known>();
  readonly #timer: NodeJS.Timeout;

  constructor(limitOf: (ref: FunctionRef) => number, tell: (limits: readonly Limit[]) => void) {
    this.#limitOf = limitOf;
    this.#tell = tell;
    this.#timer = setInterval(() => this.#poll(), POLL_MS).unref();
  }

  /** The thread asks. */
  wanted(functions: readonly string[]): void {
    this.#tell(
      functions.map((fn): Limit => {
        const known = this.#get(fn);
        const limit = this.#limitOf(known.ref);
        known.told = limit;
        return [fn, limit];
      }),
    );
  }

  changed(ref: FunctionRef): void {
    const fn = qualifiedName(ref);
    const known = this.#known.get(fn);
    if (known) this.#refresh(fn, known);
  }

  /** Whether a call of the function may start; it then counts as under way. */
  admit(fn: string): boolean {
    const known = this.#get(fn);
    const limit = this.#refresh(fn, known);
    if (known.underWay >= limit) return false;
    known.underWay++;
    known.idlePolls = 0;
    return true;
  }

  ended(fn: string): void {
    const known = this.#known.get(fn);
    if (known) known.underWay--;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #get(fn: string): Known {
    let known = this.#known.get(fn);
    if (!known) {
      known = { ref: refOf(fn), told: undefined, underWay: 0, idlePolls: 0 };
      this.#known.set(fn, known);
    }
    return known;
  }

  #refresh(fn: string, known: Known): number {
    const limit = this.#limitOf(known.ref);
    if (!Object.is(limit, known.told)) {
      known.told = limit;
      this.#tell([[fn, limit]]);
    }
    return limit;
  }

  #poll(): void {
    const changes: Limit[] = [];
    for (const [fn, known] of this.#known) {
      if (known.underWay === 0 && ++known.idlePolls > MAX_IDLE_POLLS) {
        // Should it have calls all the same, the thread asks again.
        this.#known.delete(fn);
        changes.push([fn, null]);
        continue;
      }
      const limit = this.#limitOf(known.ref);
      if (Object.is(limit, known.told)) continue;
      known.told = limit;
      changes.push([fn, limit]);
    }
    if (changes.length > 0) this.#tell(changes);
  }
}
