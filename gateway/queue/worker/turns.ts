import type { Hold } from "./call-slots.ts";
import { slotsFor } from "./slots.ts";

/** Takes turns with others. */
export interface Taker {
  /** `name.namespace`: whose limit counts it. */
  readonly fn: string;
}

/**
 * Whose turn it is: those that may have a call to give take turns, so that no backlog delays another's calls. Each costs
 * something when it has its turn or something changes for it, not while it waits.
 */
export class Turns<T extends Taker> {
  readonly #concurrency: number;
  readonly #hasRoom: (taker: T, underWay: number) => boolean;
  /** Slots that are taken. */
  #taken = 0;
  /** Calls that count for their function's limit, of each function that has any. */
  readonly #underWay = new Map<string, number>();
  /** Those worth asking, in the order of their turns. */
  readonly #ready = new Set<T>();
  /** Those that would be worth asking if their function were below its limit, by function. */
  readonly #blocked = new Map<string, Set<T>>();
  /** Those whose function has its share of the slots, in the order of their turns; worth asking once there are more. */
  readonly #crowded = new Set<T>();
  /** The same by function. */
  readonly #crowdedOf = new Map<string, Set<T>>();

  /**
   * @param concurrency slots that there are
   * @param hasRoom whether a function may have one more call than it has under way; asked again once one of its calls has
   *   ended or {@link unblock} says so
   */
  constructor(concurrency: number, hasRoom: (taker: T, underWay: number) => boolean) {
    this.#concurrency = concurrency;
    this.#hasRoom = hasRoom;
  }

  /** Calls of a function that count for its limit. */
  underWay(fn: string): number {
    return this.#underWay.get(fn) ?? 0;
  }

  /** It may have a call to give. */
  wake(taker: T): void {
    this.#ready.add(taker);
  }

  /** It has none just now; whoever changes that calls {@link wake}. */
  sleep(taker: T): void {
    this.#ready.delete(taker);
    this.#crowded.delete(taker);
    remove(this.#blocked, taker);
    remove(this.#crowdedOf, taker);
  }

  /** The function's limit may have changed. */
  unblock(fn: string): void {
    const takers = this.#blocked.get(fn);
    if (!takers) return;
    this.#blocked.delete(fn);
    for (const taker of takers) this.#ready.add(taker);
  }

  /** Any function's limit may have changed. */
  unblockAll(): void {
    for (const fn of this.#blocked.keys()) this.unblock(fn);
  }

  /** Whose turn it is. It has a slot and one of its function's limit from here on; its next turn comes after all others'. */
  next(): T | undefined {
    const taken = this.#taken;
    const concurrency = this.#concurrency;
    if (taken >= concurrency) return undefined;
    // A slot that even a function with any number of calls under way could have.
    const roomy = slotsFor({ concurrency, taken, own: concurrency }) > 0;
    // Each time one of them, or those that are ready would go on and on while these never have a turn.
    if (roomy) this.#letIn();
    do {
      for (const taker of this.#ready) {
        this.#ready.delete(taker);
        const own = this.underWay(taker.fn);
        if (!this.#hasRoom(taker, own)) add(this.#blocked, taker);
        else if (slotsFor({ concurrency, taken, own }) > 0) {
          this.#taken++;
          this.#underWay.set(taker.fn, own + 1);
          this.#ready.add(taker);
          return taker;
        } else {
          this.#crowded.add(taker);
          add(this.#crowdedOf, taker);
        }
      }
    } while (roomy && this.#letIn());
    return undefined;
  }

  /** A call, which has taken `before`, takes no more than `now` from here on. */
  leave(taker: T, now: Hold, before: Hold): void {
    if (before === "both" && now !== "both") this.#taken--;
    if (before === "nothing" || now !== "nothing") return;
    const { fn } = taker;
    const left = this.underWay(fn) - 1;
    if (left > 0) this.#underWay.set(fn, left);
    else this.#underWay.delete(fn);
    this.unblock(fn);
    // It may have few calls under way now, for which there are slots kept.
    for (const crowded of this.#crowdedOf.get(fn) ?? []) this.#letInOne(crowded);
  }

  /** @returns whether there was one */
  #letIn(): boolean {
    const [taker] = this.#crowded;
    if (taker === undefined) return false;
    this.#letInOne(taker);
    return true;
  }

  #letInOne(taker: T): void {
    this.#crowded.delete(taker);
    remove(this.#crowdedOf, taker);
    this.#ready.add(taker);
  }
}

function add<T extends Taker>(byFunction: Map<string, Set<T>>, taker: T): void {
  const takers = byFunction.get(taker.fn);
  if (takers) takers.add(taker);
  else byFunction.set(taker.fn, new Set([taker]));
}

function remove<T extends Taker>(byFunction: Map<string, Set<T>>, taker: T): void {
  const takers = byFunction.get(taker.fn);
  if (takers?.delete(taker) && takers.size === 0) byFunction.delete(taker.fn);
}
