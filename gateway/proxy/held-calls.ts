import { FaasError } from "../../contract/errors.ts";
import { DrainRate } from "./drain-rate.ts";
import { type Occupancy, OwnOccupancy } from "./occupancy.ts";

/** A call's wait. */
export interface Wait {
  /** From {@link HeldCalls.nextNumber}. */
  readonly number: number;
  /** Whether it waits again: it was let go, but what was free was gone. */
  readonly again: boolean;
  /** By `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

interface HeldCall {
  readonly number: number;
  readonly resolve: () => void;
  readonly reject: (error: FaasError) => void;
}

/** Calls of one function that wait for a replica. They leave in the order in which they came. */
export class HeldCalls {
  /** Calls that may wait at a time. */
  max: number;
  readonly #function: string;
  readonly #calls = new Set<HeldCall>();
  /** Those that wait again, by their places, all before the others. */
  readonly #returned: HeldCall[] = [];
  readonly #drained = new DrainRate();
  #lastNumber = 0;
  readonly #waiting: Occupancy;
  #closed: FaasError | undefined;

  constructor(functionName: string, max: number, waiting: Occupancy = new OwnOccupancy()) {
    this.#function = functionName;
    this.max = max;
    this.#waiting = waiting;
  }

  /** Of all threads. */
  get count(): number {
    return this.#waiting.count;
  }

  /** Of this thread. */
  get own(): number {
    return this.#calls.size + this.#returned.length;
  }

  /** Whole seconds until as many calls as wait now have gone on, at their present pace. */
  get retryAfterSeconds(): number {
    return this.#drained.secondsFor(this.count, performance.now());
  }

  nextNumber(): number {
    return ++this.#lastNumber;
  }

  /**
   * Resolves when a replica may be there; the caller chooses again and may have to come back.
   * @throws {FaasError} `overloaded` when too many wait; `unavailable` at the deadline or with the reason that the
   * function cannot start; `notFound` when it is removed. Rejects at once when `signal` aborts.
   */
  async wait({ number, again, deadline, signal }: Wait): Promise<void> {
    if (this.#closed) throw this.#closed;
    if (!again && this.count >= this.max) {
      throw new FaasError("overloaded", `${this.max} calls wait for function ${this.#function} already`, {
        code: "too_many_waiting",
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const call: HeldCall = { number, resolve, reject };
    const expired = () =>
      reject(
        new FaasError("unavailable", `no replica of function ${this.#function} became ready in time`, {
          code: "no_replica_ready",
        }),
      );
    const left = () => reject(new FaasError("unavailable", "the caller has left"));
    const timer = setTimeout(expired, Math.max(0, deadline - performance.now()));
    signal.addEventListener("abort", left, { once: true });
    if (again) this.#return(call);
    else this.#calls.add(call);
    this.#waiting.enter(0);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", left);
      this.#remove(call);
    }
  }

  #return(call: HeldCall): void {
    const behind = this.#returned.findIndex(({ number }) => number > call.number);
    this.#returned.splice(behind < 0 ? this.#returned.length : behind, 0, call);
  }

  #remove(call: HeldCall): void {
    if (!this.#calls.delete(call)) {
      const at = this.#returned.indexOf(call);
      if (at < 0) return; // let go already
      this.#returned.splice(at, 1);
    }
    this.#waiting.leave();
  }

  /** Lets the first `count` calls go on. */
  release(count: number): void {
    for (let left = Math.min(count, this.own); left > 0; left--) {
      const [first = this.#returned[0]] = this.#returned.length > 0 ? [] : this.#calls;
      if (!first) return;
      this.#remove(first); // at once, so that a second release lets the next one go
      this.#drained.count(performance.now());
      first.resolve();
    }
  }

  fail(error: FaasError): void {
    for (const call of [...this.#returned, ...this.#calls]) call.reject(error);
  }

  /** Fails all calls, and those that still come: the function is gone for good. */
  close(error: FaasError): void {
    this.#closed = error;
    this.fail(error);
    this.#waiting.close();
  }
}
