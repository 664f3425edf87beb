/** What one look through a lane's stream and all processes' words came to. */
export interface LaneSight {
  /** In the stream, those in hand among them. */
  readonly calls: number;
  /** In the hands of any process. */
  readonly held: number;
  /** Of late. */
  readonly finished: number;
}

/** Suspects that a lane has calls that its consumer gives to nobody. Times are in milliseconds of one clock. */
export class SilenceWatch {
  readonly #patienceMs: number;
  #calls = 0;
  #finished = 0;
  #silentSince: number | undefined;

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
    this.#silentSince = undefined;
  }

  /** Calls were asked for, and none came. @returns whether that has been so for too long; begins anew then */
  unanswered(now: number): boolean {
    if (this.#calls === 0) return false;
    this.#silentSince ??= now;
    if (now - this.#silentSince < this.#patienceMs) return false;
    this.served();
    return true;
  }
}
