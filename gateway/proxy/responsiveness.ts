/** Silences below it are common: a pause to collect garbage, a burst on a busy machine. */
const STALL_MS = 500;
/** And so are answers that take a few times as long as usual. */
const STALL_FACTOR = 4;
/** One that lags is asked now and then whether it answers at all; calls would have to wait for that. */
const FIRST_TRIAL_MS = 1_000;
const MAX_TRIAL_MS = 30_000;
/** Weight of the newest answer. */
const SMOOTHING = 0.1;

/** How soon the replicas of a function answer, and when one last did. Times by `performance.now()`. */
export class AnswerPace {
  #usualMs = 0;
  heardAt = Number.NEGATIVE_INFINITY;

  /** @param tookMs from a call's sending until its answer began */
  note(tookMs: number, now: number): void {
    this.heardAt = now;
    this.#usualMs += (tookMs - this.#usualMs) * SMOOTHING;
  }

  get stallMs(): number {
    return Math.max(STALL_MS, STALL_FACTOR * this.#usualMs);
  }
}

/** Whether one replica answers, told by the calls that it has. Runs for every call. */
export class Responsiveness {
  readonly #ask: () => void;
  /** Calls whose answer has not begun. */
  #awaited = 0;
  /** When it was last heard of, or got the first of those calls. */
  #since = 0;
  /** Somebody has waited in vain since it was last heard of. */
  #overdue = false;
  /** When it is to be asked again; 0 unless it lags. */
  #trialAt = 0;
  #trialMs = FIRST_TRIAL_MS;
  /** It has answered when it was asked: the next call may show whether it answers calls, too. */
  #onTrial = false;

  /** @param ask has the replica asked whether it answers at all; if so, {@link alive} is called */
  constructor(ask: () => void) {
    this.#ask = ask;
  }

  sent(now: number): void {
    if (this.#awaited++ === 0) this.#since = now;
    this.#onTrial = false;
  }

  /** An answer begins. */
  answered(now: number): void {
    this.#awaited--;
    this.#since = now;
    if (this.#trialAt > 0 || this.#overdue) this.forgive();
  }

  /** A call has ended without an answer. @param timedOut whether it was waited for for long enough */
  unanswered(timedOut: boolean): void {
    this.#awaited--;
    this.#overdue ||= timedOut;
  }

  /** Milliseconds that somebody has waited for a word of it. */
  silentMs(now: number): number {
    return this.#awaited > 0 ? now - this.#since : 0;
  }

  /** Whether it has been silent for too long while others answered. */
  isStalled({ heardAt, stallMs }: AnswerPace, now: number): boolean {
    return this.#awaited > 0 && heardAt > this.#since && now - this.#since > stallMs;
  }

  /** Whether others are to be preferred now. */
  lags(pace: AnswerPace, now: number): boolean {
    if ((!this.#overdue && !this.isStalled(pace, now)) || this.#onTrial) return false;
    if (this.#trialAt > 0 && now >= this.#trialAt) {
      this.#trialMs = Math.min(2 * this.#trialMs, MAX_TRIAL_MS);
      this.#trialAt = now + this.#trialMs;
      this.#ask();
    }
    if (this.#trialAt === 0) this.#trialAt = now + this.#trialMs;
    return true;
  }

  /** It answers, if not calls: one of them may try. */
  alive(): void {
    this.#onTrial = this.#trialAt > 0;
  }

  /** It is well, or there is news of it. */
  forgive(): void {
    this.#overdue = false;
    this.#onTrial = false;
    this.#trialAt = 0;
    this.#trialMs = FIRST_TRIAL_MS;
  }
}
