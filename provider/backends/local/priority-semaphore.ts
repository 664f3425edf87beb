/** Who wants to be let in, the most urgent first. */
export const RANKS = { called: 0, wanted: 1, idle: 2 } as const;
/** `called`: calls wait for it; `wanted`: somebody has asked for it; `idle`: nobody waits. */
export type Rank = keyof typeof RANKS;

export interface PrioritySemaphoreOptions {
  readonly slots: number;
  /** Places that those may have for whom nobody waits. */
  readonly idleSlots: number;
  /** Whether such a one may be let in now; asked again every {@link IDLE_AGAIN_MS} while one waits. */
  readonly admitsIdle?: () => boolean;
}

const IDLE_AGAIN_MS = 500;

interface Waiting {
  readonly rank: () => Rank;
  readonly admit: (rank: Rank) => void;
}

/** Lets only so many through at a time: the most urgent first, those of one rank in the order they came. */
export class PrioritySemaphore {
  readonly #options: PrioritySemaphoreOptions;
  /** Those inside, by their rank when they entered. */
  readonly #inside = { called: 0, wanted: 0, idle: 0 };
  readonly #waiting = new Set<Waiting>();
  #again: NodeJS.Timeout | undefined;

  constructor(options: PrioritySemaphoreOptions) {
    this.#options = options;
  }

  /**
   * Takes a place, at once when one is free.
   * @param rank may change while it waits; see {@link admitWaiting}
   * @returns gives the place back; further calls do nothing. Undefined when `signal` aborted first
   */
  async acquire(signal: AbortSignal, rank: () => Rank): Promise<(() => void) | undefined> {
    if (signal.aborted) return undefined;
    const admitted = await this.#wait(signal, rank);
    if (admitted === undefined) return undefined;
    let inside = true;
    return () => {
      if (inside) this.#inside[admitted] -= 1;
      inside = false;
      this.admitWaiting();
    };
  }

  /** Lets in those who wait, after a rank or the room has changed. */
  admitWaiting(): void {
    for (let next = this.#next(); next; next = this.#next()) {
      const { waiting, rank } = next;
      this.#waiting.delete(waiting);
      this.#inside[rank] += 1;
      waiting.admit(rank);
    }
  }

  #wait(signal: AbortSignal, rank: () => Rank): Promise<Rank | undefined> {
    return new Promise((resolve) => {
      const onAbort = () => {
        this.#waiting.delete(waiting);
        resolve(undefined);
      };
      const waiting: Waiting = {
        rank,
        admit: (admitted) => {
          signal.removeEventListener("abort", onAbort);
          resolve(admitted);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(waiting);
      this.admitWaiting();
    });
  }

  #next(): { readonly waiting: Waiting; readonly rank: Rank } | undefined {
    const { called, wanted, idle } = this.#inside;
    if (called + wanted + idle >= this.#options.slots) return undefined;
    let first: { waiting: Waiting; rank: Rank } | undefined;
    for (const waiting of this.#waiting) {
      const rank = waiting.rank();
      if (!first || RANKS[rank] < RANKS[first.rank]) first = { waiting, rank };
      if (rank === "called") break;
    }
    return first?.rank === "idle" && !this.#admitsIdle() ? undefined : first;
  }

  #admitsIdle(): boolean {
    const { idleSlots, admitsIdle = () => true } = this.#options;
    if (this.#inside.idle >= idleSlots) return false;
    if (admitsIdle()) return true;
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.admitWaiting();
    }, IDLE_AGAIN_MS).unref();
    return false;
  }
}
