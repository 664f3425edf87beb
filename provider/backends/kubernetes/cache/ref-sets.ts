import { type FunctionRef, qualifiedName } from "../../../../contract/functions.ts";

/** Sets of functions by a key; an empty one takes no room. */
export class RefSets {
  readonly #sets = new Map<string, Map<string, FunctionRef>>();

  of(key: string): Iterable<FunctionRef> {
    return this.#sets.get(key)?.values() ?? [];
  }

  add(key: string, ref: FunctionRef): void {
    const set = this.#sets.get(key) ?? new Map<string, FunctionRef>();
    this.#sets.set(key, set.set(qualifiedName(ref), ref));
  }

  delete(key: string, ref: FunctionRef): void {
    const set = this.#sets.get(key);
    set?.delete(qualifiedName(ref));
    if (set?.size === 0) this.#sets.delete(key);
  }
}
