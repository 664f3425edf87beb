import type { Hold } from "../../worker/aside.ts";
import { placesFor } from "../../worker/places.ts";
import { functionOf } from "../protocol.ts";

interface KeyState {
  inFlight: number;
  /** No untried call up to this place waits, but for those handed back since. */
  takenUpTo: number;
}

/** A call under way. */
export interface UnderWay {
  readonly key: string;
  readonly since: number;
  readonly hold: Hold;
}

/**
 * Whose turn it is: keys that may have a call to give take turns, so that no backlog delays another's calls. A key
 * stands for the calls of one function in one queue; limits hold for the function.
 */
export class FunctionTurns {
  /** Every call under way, by its place. */
  readonly #inFlight = new Map<number, UnderWay>();
  /** Those of them that have a place. */
  #taken = 0;
  /** Calls under way that count for their function's limit, of each function that has any. */
  readonly #running = new Map<string, number>();
  /** Keys with calls under way or worth asking. */
  readonly #states = new Map<string, KeyState>();
  /** Keys worth asking, in the order of their turns. */
  readonly #ready = new Set<string>();
  /** Keys that would be worth asking if their function were below its limit, by function. */
  readonly #blocked = new Map<string, Set<string>>();
  /** Keys whose function has its share of the places, in the order of their turns; worth asking once there are more. */
  readonly #crowded = new Set<string>();

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Places that calls under way have. */
  get taken(): number {
    return this.#taken;
  }

  find(seq: number): UnderWay | undefined {
    return this.#inFlight.get(seq);
  }

  all(): IterableIterator<[seq: number, call: UnderWay]> {
    return this.#inFlight.entries();
  }

  /** The key may have a call to give. */
  wake(key: string): void {
    this.#ready.add(key);
  }

  /** The key has none just now; whoever changes that calls {@link wake}. */
  sleep(key: string): void {
    this.#ready.delete(key);
    this.#crowded.delete(key);
    if (this.#states.get(key)?.inFlight === 0) this.#states.delete(key);
  }

  /** The function's limit may have changed. */
  unblock(fn: string): void {
    const keys = this.#blocked.get(fn);
    if (!keys) return;
    this.#blocked.delete(fn);
    for (const key of keys) this.#ready.add(key);
  }

  /**
   * The key whose turn it is.
   * @param hasRoom whether the function may have one more call than it has under way; asked again once one of its calls
   *   has ended or {@link unblock} says so
   * @param concurrency calls that may be under way at a time
   */
  next(hasRoom: (fn: string, underWay: number) => boolean, concurrency: number): string | undefined {
    const taken = this.#taken;
    // A place that even a function with any number of calls under way could have.
    const roomy = placesFor({ concurrency, taken, own: concurrency }) > 0;
    // Each time one of them, or those that are ready would go on and on while these never have a turn.
    if (roomy) this.#letIn();
    do {
      for (const key of this.#ready) {
        const fn = functionOf(key);
        const own = this.#running.get(fn) ?? 0;
        if (!hasRoom(fn, own)) this.#block(fn, key);
        else if (placesFor({ concurrency, taken, own }) > 0) return key;
        else this.#crowded.add(key);
        this.#ready.delete(key);
      }
    } while (roomy && this.#letIn());
    return undefined;
  }

  /** @returns whether there was one */
  #letIn(): boolean {
    const [key] = this.#crowded;
    if (key === undefined) return false;
    this.#crowded.delete(key);
    this.#ready.add(key);
    return true;
  }

  #block(fn: string, key: string): void {
    const keys = this.#blocked.get(fn);
    if (keys) keys.add(key);
    else this.#blocked.set(fn, new Set([key]));
  }

  /** Place after which an untried call of the key is to be looked for. */
  takenUpTo(key: string): number {
    return this.#states.get(key)?.takenUpTo ?? 0;
  }

  skipTo(key: string, seq: number): void {
    this.#state(key).takenUpTo = seq;
  }

  /** A call of the key is under way, and its next turn comes after everybody else's. */
  begin(key: string, seq: number, since: number): void {
    this.resume(seq, { key, since, hold: "both" });
    this.#ready.delete(key);
    this.#ready.add(key);
  }

  /** The call is under way again, as if it had not ended. */
  resume(seq: number, call: UnderWay): void {
    const { key, hold } = call;
    this.#inFlight.set(seq, call);
    this.#state(key).inFlight++;
    if (hold === "both") this.#taken++;
    const fn = functionOf(key);
    if (hold !== "nothing") this.#running.set(fn, (this.#running.get(fn) ?? 0) + 1);
  }

  /** The call, if it is under way, takes no more than `hold` from now on. */
  leave(seq: number, hold: Hold): void {
    const call = this.#inFlight.get(seq);
    if (call === undefined) return;
    this.#inFlight.set(seq, { ...call, hold });
    this.#release(call, hold);
  }

  /** The call is no longer under way. */
  end(seq: number): void {
    const call = this.#inFlight.get(seq);
    if (call === undefined) return;
    const { key } = call;
    this.#inFlight.delete(seq);
    this.#state(key).inFlight--;
    this.#release(call, "nothing");
    this.#ready.add(key);
  }

  #release({ key, hold: before }: UnderWay, now: Hold): void {
    if (before === "both" && now !== "both") this.#taken--;
    if (before === "nothing" || now !== "nothing") return;
    const fn = functionOf(key);
    const left = (this.#running.get(fn) ?? 1) - 1;
    if (left === 0) this.#running.delete(fn);
    else this.#running.set(fn, left);
    this.#ready.add(key);
    this.unblock(fn);
  }

  /** The call is no longer under way and waits again in its old place. */
  handBack(seq: number): void {
    const call = this.#inFlight.get(seq);
    if (call === undefined) return;
    this.end(seq);
    const state = this.#state(call.key);
    state.takenUpTo = Math.min(state.takenUpTo, seq - 1);
  }

  #state(key: string): KeyState {
    let state = this.#states.get(key);
    if (!state) {
      state = { inFlight: 0, takenUpTo: 0 };
      this.#states.set(key, state);
    }
    return state;
  }
}
