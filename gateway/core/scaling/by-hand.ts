/** A number of replicas that somebody has set. Times in milliseconds since the epoch. */
export interface SetByHand {
  readonly at: number;
  readonly replicas: number;
  /** Wanted before. */
  readonly before: number;
}

/** An order shows in the provider's snapshot within this time, or not at all. */
const ORDER_MS = 15_000;
/** Other gateways report their orders each second; the effect may show before the report. */
const LATE_MS = 5_000;

/** Tells which changes of the replicas wanted of one function are somebody's own, and not an order of a gateway. */
export class ByHand {
  #seen: number | undefined;
  /** Those not seen yet, oldest first. */
  #orders: { readonly at: number; readonly replicas: number }[] = [];
  #set: SetByHand | undefined;
  /** Whether a gateway was asked for that number; otherwise it was only seen. */
  #reported = false;

  /** The last number set by hand, however long ago. */
  get last(): SetByHand | undefined {
    return this.#set;
  }

  /** This gateway orders replicas: for load, for calls that wait, by an alert. */
  ordered(replicas: number, now: number): void {
    this.#orders.push({ at: now, replicas });
  }

  /** Takes the report of another gateway's order, whose effect may have been seen already. */
  claimed(replicas: number, now: number): void {
    if (!this.#reported && this.#isRecent(replicas, now)) this.#set = undefined;
    else this.ordered(replicas, now);
  }

  /** An order came to nothing. */
  refused(replicas: number): void {
    const at = this.#orders.findIndex((order) => order.replicas === replicas);
    if (at >= 0) this.#orders.splice(at, 1);
  }

  /** Somebody has asked a gateway for this number. */
  reported(replicas: number, now: number): void {
    const before = this.#isRecent(replicas, now) ? this.#set?.before : this.#seen;
    this.#put({ at: now, replicas, before: before ?? replicas }, true);
  }

  /**
   * Takes in how many are wanted.
   * @param decided what this gateway itself thought right last; another one that did too may have ordered it
   * @param least as many as a deploy raises it to
   */
  see(replicas: number, { now, decided, least }: { now: number; decided: number | undefined; least: number }): void {
    const before = this.#seen;
    this.#seen = replicas;
    if (before === undefined || before === replicas) return;
    this.#orders = this.#orders.filter(({ at }) => now - at <= ORDER_MS);
    const order = this.#orders.findIndex((order) => order.replicas === replicas);
    // Those before it were overtaken.
    if (order >= 0) this.#orders.splice(0, order + 1);
    const deployed = replicas > before && replicas === least;
    if (order >= 0 || replicas === decided || deployed || this.#isRecent(replicas, now)) return;
    this.#put({ at: now, replicas, before }, false);
  }

  #isRecent(replicas: number, now: number): boolean {
    return this.#set !== undefined && this.#set.replicas === replicas && now - this.#set.at <= LATE_MS;
  }

  /** A function that is put to sleep is not held there: a call wakes it. */
  #put(set: SetByHand, reported: boolean): void {
    this.#set = set.replicas === 0 ? undefined : set;
    this.#reported = reported;
  }
}
