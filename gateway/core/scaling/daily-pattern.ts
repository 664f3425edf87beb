const SLOT_MS = 10 * 60_000;
const SLOTS = 144;
const DAY_MS = SLOTS * SLOT_MS;
/** Days that are remembered. */
const DAYS = 7;
/** Days that must have been watched before anything is likely. */
const LEAST_DAYS = 2;
const LIKELY = 0.5;
/** A replica is there so long before the slot that is likely to have a call. */
const AHEAD_MS = 60_000;

/** As it is stored; days count from the epoch, in UTC. */
export interface StoredPattern {
  readonly watchedSince: number;
  /** By day: its slots of ten minutes that had a call. */
  readonly days: Readonly<Record<string, readonly number[]>>;
  readonly hits: number;
  readonly misses: number;
}

/** Remembers at which times of day a function was called, to tell when it is likely to be called again. */
export class DailyPattern {
  readonly #days = new Map<number, Set<number>>();
  #watchedSince: number;
  #hits = 0;
  #misses = 0;
  /** Predicted slots that are not over, and whether a call came. */
  readonly #predicted = new Map<number, boolean>();

  constructor(now: number, stored?: StoredPattern) {
    this.#watchedSince = now;
    if (stored) this.recall(stored);
  }

  /** Adds what was learned before. */
  recall({ watchedSince, days, hits, misses }: StoredPattern): void {
    this.#watchedSince = Math.min(this.#watchedSince, watchedSince);
    this.#hits += hits;
    this.#misses += misses;
    for (const [key, slots] of Object.entries(days)) {
      const day = Number(key);
      this.#days.set(day, new Set([...slots, ...(this.#days.get(day) ?? [])]));
    }
  }

  /** Predicted slots that had a call, and that had none. */
  get score(): { readonly hits: number; readonly misses: number } {
    return { hits: this.#hits, misses: this.#misses };
  }

  called(now: number): void {
    const slot = Math.floor(now / SLOT_MS);
    const day = Math.floor(slot / SLOTS);
    let slots = this.#days.get(day);
    if (!slots) {
      slots = new Set();
      this.#days.set(day, slots);
      for (const old of this.#days.keys()) if (old < day - DAYS) this.#days.delete(old);
    }
    slots.add(slot % SLOTS);
    if (this.#predicted.has(slot)) this.#predicted.set(slot, true);
  }

  /** Whether a call is likely now or within a minute: at least half of the days before had one in this slot. */
  likely(now: number): boolean {
    this.#settle(now);
    const first = Math.floor(now / SLOT_MS);
    const last = Math.floor((now + AHEAD_MS) / SLOT_MS);
    for (let slot = first; slot <= last; slot++) {
      if (!this.#isLikely(slot, now)) continue;
      if (!this.#predicted.has(slot)) this.#predicted.set(slot, this.#wasCalled(slot));
      return true;
    }
    return false;
  }

  #isLikely(slot: number, now: number): boolean {
    const day = Math.floor(slot / SLOTS);
    const watched = Math.min(DAYS, Math.floor((now - this.#watchedSince) / DAY_MS));
    if (watched < LEAST_DAYS) return false;
    let called = 0;
    for (let ago = 1; ago <= watched; ago++) if (this.#days.get(day - ago)?.has(slot % SLOTS)) called++;
    return called / watched >= LIKELY;
  }

  #wasCalled(slot: number): boolean {
    return this.#days.get(Math.floor(slot / SLOTS))?.has(slot % SLOTS) ?? false;
  }

  #settle(now: number): void {
    for (const [slot, called] of this.#predicted) {
      if ((slot + 1) * SLOT_MS > now) continue;
      this.#predicted.delete(slot);
      if (called) this.#hits++;
      else this.#misses++;
    }
  }

  store(): StoredPattern {
    const days = Object.fromEntries([...this.#days].map(([day, slots]) => [day, [...slots].sort((a, b) => a - b)]));
    return { watchedSince: this.#watchedSince, days, hits: this.#hits, misses: this.#misses };
  }
}
