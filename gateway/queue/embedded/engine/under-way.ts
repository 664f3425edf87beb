interface KeyState {
  inFlight: number;
  /** No untried call up to this place waits, but for those handed back since. */
  takenUpTo: number;
}

/** A call under way. */
export interface UnderWay {
  readonly key: string;
  readonly since: number;
}

/** Calls that are under way, by their places, and up to where each key has given out its own. */
export class CallsUnderWay {
  readonly #calls = new Map<number, UnderWay>();
  /** Of keys with calls under way or worth asking. */
  readonly #states = new Map<string, KeyState>();

  get size(): number {
    return this.#calls.size;
  }

  find(seq: number): UnderWay | undefined {
    return this.#calls.get(seq);
  }

  all(): IterableIterator<[seq: number, call: UnderWay]> {
    return this.#calls.entries();
  }

  /** Place after which an untried call of the key is to be looked for. */
  takenUpTo(key: string): number {
    return this.#states.get(key)?.takenUpTo ?? 0;
  }

  skipTo(key: string, seq: number): void {
    this.#state(key).takenUpTo = seq;
  }

  /** The call is under way, or is so again as if it had not ended. */
  begin(seq: number, call: UnderWay): void {
    this.#calls.set(seq, call);
    this.#state(call.key).inFlight++;
  }

  /** The call is no longer under way; `back` when it waits again in its old place. */
  end(seq: number, back: boolean): void {
    const call = this.#calls.get(seq);
    if (call === undefined) return;
    this.#calls.delete(seq);
    const state = this.#state(call.key);
    state.inFlight--;
    if (back) state.takenUpTo = Math.min(state.takenUpTo, seq - 1);
  }

  /** The key has no call to give just now. */
  forgetIfIdle(key: string): void {
    if (this.#states.get(key)?.inFlight === 0) this.#states.delete(key);
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
