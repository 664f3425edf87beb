import { FaasError } from "../../provider/contract/errors.ts";

interface HeldCall {
  readonly resolve: () => void;
  readonly reject: (error: FaasError) => void;
}

/** Calls of one function that wait for a replica, in order of arrival. */
export class HeldCalls {
  readonly #function: string;
  readonly #max: number;
  readonly #calls = new Set<HeldCall>();
  #closed: FaasError | undefined;

  constructor(functionName: string, max: number) {
    this.#function = functionName;
    this.#max = max;
  }

  get count(): number {
    return this.#calls.size;
  }

  /**
   * Resolves when a replica may be there; the caller chooses again and may have to come back.
   * @param deadline milliseconds since the epoch
   * @throws {FaasError} `overloaded` when too many wait; `unavailable` at the deadline or with the reason that the
   * function cannot start; `notFound` when it is removed. Rejects at once when `signal` aborts.
   */
  async wait(deadline: number, signal: AbortSignal): Promise<void> {
    if (this.#closed) throw this.#closed;
    if (this.#calls.size >= this.#max) {
      throw new FaasError("overloaded", `${this.#max} calls wait for function ${this.#function} already`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const call: HeldCall = { resolve, reject };
    const expired = () =>
      reject(new FaasError("unavailable", `no replica of function ${this.#function} became ready in time`));
    const left = () => reject(new FaasError("unavailable", "the caller has left"));
    const timer = setTimeout(expired, Math.max(0, deadline - Date.now()));
    signal.addEventListener("abort", left, { once: true });
    this.#calls.add(call);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", left);
      this.#calls.delete(call);
    }
  }

  /** Lets every call go on, oldest first. */
  release(): void {
    for (const call of this.#calls) call.resolve();
  }

  /** Lets the oldest call go on. */
  releaseOne(): void {
    for (const call of this.#calls) {
      this.#calls.delete(call); // so that a second release before it has gone on wakes the next one
      call.resolve();
      return;
    }
  }

  fail(error: FaasError): void {
    for (const call of this.#calls) call.reject(error);
  }

  /** Fails all calls, and those that still come: the function is gone for good. */
  close(error: FaasError): void {
    this.#closed = error;
    this.fail(error);
  }
}
