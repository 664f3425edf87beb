import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";

/** One write of a function at a time, so that one of two concurrent creates fails as a conflict. */
export class WriteLocks {
  /** The last write of each function in this process, for the next to wait for. */
  readonly #writes = new Map<string, Promise<void>>();

  async take<T>(ref: FunctionRef, work: () => Promise<T>): Promise<T> {
    const key = qualifiedName(ref);
    const earlier = this.#writes.get(key) ?? Promise.resolve();
    const done = earlier.then(work);
    // The next one runs whether or not this one fails; its caller gets the failure.
    const settled = done.then(
      () => {},
      () => {},
    );
    this.#writes.set(key, settled);
    try {
      return await done;
    } finally {
      if (this.#writes.get(key) === settled) this.#writes.delete(key);
    }
  }
}
