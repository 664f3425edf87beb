/** What one look through a lane's stream and all processes' words came to. */
export interface LaneSight {
  /** In the stream, those in hand among them. */
  readonly calls: number;
  /** In the hands of any process. */
  readonly held: number;
  /** Of late. */
  readonly finished: number;
}

/**
 * Which calls to look at: those that the consumer has behind it for certain, or, once all is silent, every single one.
 */
export type Sweep = "behind" | "all";

/** Looks in a row that find calls in nobody's hands. */
const UNSERVED_LOOKS = 3;
const SWEEP_EVERY_MS = 60_000;

/** Decides when to look for calls that a lane's consumer gives to nobody. Times are in milliseconds of one clock. */
export class StrayWatch {
  readonly #patienceMs: number;
  #calls = 0;
  #finished = 0;
  #unserved = 0;
  #sweptAt = Number.NEGATIVE_INFINITY;
  /** Since when nothing has happened although there are calls, and they were asked for. */
  #silentSince: number | undefined;

  /** @param patienceMs how long calls may be in the hands of a process that has vanished */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  seen({ calls, held, finished }: LaneSight, now: number): Sweep | undefined {
    const served = calls === 0 || held > 0 || finished > this.#finished;
    this.#calls = calls;
    this.#finished = finished;
    if (served) this.delivered();
    else this.#unserved++;
    if (calls === 0 || (this.#unserved < UNSERVED_LOOKS && now - this.#sweptAt < SWEEP_EVERY_MS)) return undefined;
    this.#unserved = 0;
    this.#sweptAt = now;
    return "behind";
  }

  delivered(): void {
    this.#unserved = 0;
    this.#silentSince = undefined;
  }

  /** Calls were asked for, and none came. */
  unanswered(now: number): Sweep | undefined {
    if (this.#calls === 0) return undefined;
    this.#silentSince ??= now;
    if (now - this.#silentSince < this.#patienceMs) return undefined;
    this.#silentSince = undefined;
    return "all";
  }

  /** The server may be another one, with an older memory. */
  reconnected(): void {
    this.#sweptAt = Number.NEGATIVE_INFINITY;
    this.delivered();
  }
}
