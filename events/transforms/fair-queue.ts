/** Takes turns among keys: who has much waiting does not keep the others from theirs. */
export class FairQueue<T> {
  readonly #byKey = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(key: string, item: T): void {
    const items = this.#byKey.get(key);
    if (items) items.push(item);
    else this.#byKey.set(key, [item]);
    this.#size++;
  }

  /** The first of the key whose turn it is. @param allowed whether a key may have one now */
  take(allowed: (key: string) => boolean): { readonly key: string; readonly item: T } | undefined {
    for (const [key, items] of this.#byKey) {
      if (!allowed(key)) continue;
      const item = items.shift() as T;
      this.#size--;
      // To the end of the map's order.
      this.#byKey.delete(key);
      if (items.length > 0) this.#byKey.set(key, items);
      return { key, item };
    }
    return undefined;
  }

  /** All that waits, which waits no longer. */
  clear(): T[] {
    const all = [...this.#byKey.values()].flat();
    this.#byKey.clear();
    this.#size = 0;
    return all;
  }
}
