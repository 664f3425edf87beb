/** What one look through a lane's stream and all processes' words came to. */
export interface LaneSight {
  /** In the stream, those in hand among them. */
  readonly calls: number;
  /** In the hands of any process. */
  readonly held: number;
  /** Of late. */
  readonly finished: number;
}

/** Whether there may be calls that the consumer has behind it, or, once all is silent, it gives out none of its calls. */
export type Suspicion = "behind" | "silent";

/** Requests in a row that brought nothing although there are calls in nobody's hands. */
const UNANSWERED = 3;

/** Suspects that a lane has calls that its consumer gives to nobody. Times are in milliseconds of one clock. */
export class StrayWatch {
  readonly #patienceMs: number;
  #calls = 0;
  #finished = 0;
  #unanswered = 0;
  /** Of the first of them. */
  #silentSince: number | undefined;
  #servings = 0;

  /** @param patienceMs how long calls may be in the hands of a process that has vanished */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  seen({ calls, held, finished }: LaneSight): void {
    if (calls === 0 || held > 0 || finished > this.#finished) this.served();
    this.#calls = calls;
    this.#finished = finished;
  }

  /** Somebody has been given a call, or there is none. */
  served(): void {
    this.#servings++;
    this.#beginAnew();
  }

  /** How often somebody was, to see later whether a suspicion has been dispelled. */
  get servings(): number {
    return this.#servings;
  }

  /** Calls were asked for, and none came. */
  unanswered(now: number): Suspicion | undefined {
    if (this.#calls === 0) return undefined;
    this.#silentSince ??= now;
    if (now - this.#silentSince >= this.#patienceMs) {
      this.#beginAnew();
      return "silent";
    }
    return ++this.#unanswered % UNANSWERED === 0 ? "behind" : undefined;
  }

  #beginAnew(): void {
    this.#unanswered = 0;
    this.#silentSince = undefined;
  }
}
