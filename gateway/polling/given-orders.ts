interface Order {
  /** Replicas wanted before. */
  readonly from: number;
  readonly to: number;
  readonly at: number;
  /** What the provider has made of it, where that is neither. */
  made?: number;
}

/** An order shows within this time, or not at all. */
const SHOWN_MS = 3_000;
const CUT_MS = 15_000;
/** So long a provider is not asked again for what it did not do. */
const AGAIN_MS = 60_000;
const MAX_REMEMBERED = 10_000;

/**
 * Orders to scale that a provider has taken, and what became of them: some keep to limits of their own without a word.
 * Names are `name.namespace`, times by `performance.now()`.
 */
export class GivenOrders {
  readonly #orders = new Map<string, Order>();

  given(name: string, from: number, to: number, at: number): void {
    const before = this.#orders.get(name);
    // What is ordered again and again counts from the first time.
    if (before && before.from === from && before.to === to && at - before.at < AGAIN_MS) return;
    if (this.#orders.size >= MAX_REMEMBERED) this.#orders.clear();
    this.#orders.set(name, { from, to, at });
  }

  /**
   * Takes in how many replicas are wanted.
   * @returns whether that is what the provider has made of an order for more, or fewer
   */
  see(name: string, replicas: number, now: number): boolean {
    const order = this.#orders.get(name);
    if (!order || order.made !== undefined || now - order.at > CUT_MS) return false;
    const { from, to } = order;
    if (replicas > Math.min(from, to) && replicas < Math.max(from, to)) {
      order.made = replicas;
      return true;
    }
    if (replicas === to) this.#orders.delete(name);
    return false;
  }

  /** Whether the provider has shown that it does not go from `present` replicas to `wanted`, or beyond. */
  isInVain(name: string, present: number, wanted: number, now: number): boolean {
    const order = this.#orders.get(name);
    if (!order || now - order.at > AGAIN_MS) return false;
    if (Math.sign(wanted - present) !== Math.sign(order.to - order.from)) return false;
    if (order.made !== undefined) return present === order.made;
    return (
      present === order.from && Math.abs(wanted - present) >= Math.abs(order.to - present) && now - order.at > SHOWN_MS
    );
  }

  clear(): void {
    this.#orders.clear();
  }
}
