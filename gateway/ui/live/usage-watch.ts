import type { FunctionRef } from "../../../contract/functions.ts";
import type { SeenUsage } from "./series-book.ts";

export interface UsageWatchOptions {
  readonly measure: (ref: FunctionRef) => Promise<SeenUsage | undefined>;
  /** Gets what was measured of `name.namespace`. */
  readonly seen: (name: string, usage: SeenUsage) => void;
  /** By the monotonic clock. */
  readonly now?: () => number;
}

/** To measure takes the provider a moment, so it is asked seldom, and of functions that somebody looks at. */
const EVERY_MS = 10_000;
const LOOKS_FOR_MS = 90_000;
const MAX_WATCHED = 20;

/** Has it measured what functions use, while somebody wants to know. */
export class UsageWatch {
  readonly #options: UsageWatchOptions;
  /** Until when, by name. */
  readonly #watched = new Map<string, number>();
  #measuredAt = Number.NEGATIVE_INFINITY;
  #measuring = false;

  constructor(options: UsageWatchOptions) {
    this.#options = options;
  }

  watch(name: string): void {
    this.#watched.delete(name);
    this.#watched.set(name, this.#now() + LOOKS_FOR_MS);
    // Whoever has not looked for longest.
    for (const first of this.#watched.keys()) if (this.#watched.size > MAX_WATCHED) this.#watched.delete(first);
  }

  /** To be called about once a second. */
  async look(): Promise<void> {
    const now = this.#now();
    for (const [name, until] of this.#watched) if (until < now) this.#watched.delete(name);
    if (this.#watched.size === 0 || this.#measuring || now - this.#measuredAt < EVERY_MS) return;
    this.#measuring = true;
    this.#measuredAt = now;
    try {
      await Promise.all([...this.#watched.keys()].map((name) => this.#measure(name)));
    } finally {
      this.#measuring = false;
    }
  }

  async #measure(name: string): Promise<void> {
    const dot = name.lastIndexOf(".");
    const { measure, seen } = this.#options;
    try {
      const usage = await measure({ name: name.slice(0, dot), namespace: name.slice(dot + 1) });
      if (usage) seen(name, usage);
    } catch {
      // A function that is gone, or a provider that does not answer, which is told elsewhere: nothing is known.
    }
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }
}
