interface FunctionState {
  inFlight: number;
  /** No untried call up to this place waits, but for those handed back since. */
  takenUpTo: number;
}

/** Whose turn it is: functions that may have a call to give take turns, so that no backlog delays another's calls. */
export class FunctionTurns {
  /** Every call under way, by its place, and its function. */
  readonly #inFlight = new Map<number, string>();
  /** Functions with calls under way or worth asking. */
  readonly #states = new Map<string, FunctionState>();
  /** Functions worth asking, in the order of their turns. */
  readonly #ready = new Set<string>();

  get inFlight(): number {
    return this.#inFlight.size;
  }

  functionOf(seq: number): string | undefined {
    return this.#inFlight.get(seq);
  }

  /** The function may have a call to give. */
  wake(key: string): void {
    this.#ready.add(key);
  }

  /** The function has none just now; whoever changes that calls {@link wake}. */
  sleep(key: string): void {
    this.#ready.delete(key);
    if (this.#states.get(key)?.inFlight === 0) this.#states.delete(key);
  }

  /** The function whose turn it is among those with fewer than `perFunction` calls under way. */
  next(perFunction: number): string | undefined {
    for (const key of this.#ready) {
      if ((this.#states.get(key)?.inFlight ?? 0) < perFunction) return key;
      this.#ready.delete(key); // the end of one of its calls wakes it
    }
    return undefined;
  }

  /** Place after which an untried call of the function is to be looked for. */
  takenUpTo(key: string): number {
    return this.#states.get(key)?.takenUpTo ?? 0;
  }

  skipTo(key: string, seq: number): void {
    this.#state(key).takenUpTo = seq;
  }

  /** A call of the function is under way, and its next turn comes after everybody else's. */
  begin(key: string, seq: number): void {
    this.#inFlight.set(seq, key);
    this.#state(key).inFlight++;
    this.#ready.delete(key);
    this.#ready.add(key);
  }

  /** The call is no longer under way. */
  end(seq: number): void {
    const key = this.#inFlight.get(seq);
    if (key === undefined) return;
    this.#inFlight.delete(seq);
    this.#state(key).inFlight--;
    this.#ready.add(key);
  }

  /** The call is no longer under way and waits again in its old place. */
  handBack(seq: number): void {
    const key = this.#inFlight.get(seq);
    if (key === undefined) return;
    this.end(seq);
    const state = this.#state(key);
    state.takenUpTo = Math.min(state.takenUpTo, seq - 1);
  }

  #state(key: string): FunctionState {
    let state = this.#states.get(key);
    if (!state) {
      state = { inFlight: 0, takenUpTo: 0 };
      this.#states.set(key, state);
    }
    return state;
  }
}
