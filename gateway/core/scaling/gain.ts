import { LoadWindow } from "./load-window.ts";

/** How long a number of replicas has to serve before it is judged. */
const TRIAL_MS = 10_000;
/** Of that, replicas warm up for so long. */
const WARM_UP_MS = 2_000;
/** A trial that has not got its replicas by then is given up. */
const LONGEST_TRIAL_MS = 60_000;
/** More replicas help when so many times as many calls get through. */
const LEAST_GAIN = 1.1;
/** At lower rates, in calls a second, chance decides more than replicas do. */
const LEAST_RATE = 20;
/** So many times the calls in flight, and a few more, are another load. */
const OTHER_LOAD = 2;
const FEW_CALLS = 2;
/** Between two trials; twice as long each time. */
const FIRST_PAUSE_MS = 5 * 60_000;
const LONGEST_PAUSE_MS = 60 * 60_000;

/** What a number of ready replicas gets through. */
class Throughput {
  readonly ready: number;
  readonly #since: number;
  readonly #rate = new LoadWindow(TRIAL_MS - WARM_UP_MS);
  readonly #concurrency = new LoadWindow(TRIAL_MS - WARM_UP_MS);

  constructor(ready: number, now: number) {
    this.ready = ready;
    this.#since = now;
  }

  record(now: number, finished: number, concurrency: number): void {
    if (now - this.#since < WARM_UP_MS) return;
    this.#rate.record(now, finished);
    this.#concurrency.record(now, concurrency);
  }

  /** @returns undefined until it has served for long enough */
  measure(now: number): Measured | undefined {
    if (now - this.#since < TRIAL_MS) return undefined;
    return { ready: this.ready, rate: this.#rate.average(now) ?? 0, concurrency: this.#concurrency.average(now) ?? 0 };
  }
}

interface Measured {
  readonly ready: number;
  /** Calls that ended in a second. */
  readonly rate: number;
  /** Calls in flight. */
  readonly concurrency: number;
}

/** Fewer replicas are tried. */
interface Trial {
  readonly before: Measured;
  readonly replicas: number;
  readonly until: number;
}

/** Fewer replicas did as well. */
interface Verdict extends UsefulReplicas {
  readonly until: number;
  readonly concurrency: number;
}

/** The most replicas that are of use, and how that is known, as a sentence. */
export interface UsefulReplicas {
  readonly replicas: number;
  readonly text: string;
}

/**
 * Finds out whether replicas help. Those of one machine share its processors, so that at some number another one only
 * takes time from the others. What fewer can do is tried: what they did before a burst, when they were cold or idle,
 * does not tell.
 */
export class Gain {
  #present: Throughput | undefined;
  #trial: Trial | undefined;
  #verdict: Verdict | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #nextTrialAt = 0;

  /**
   * Adds about a second.
   * @param finished calls that ended in it
   * @param concurrency calls in flight, on average
   */
  record(now: number, ready: number, finished: number, concurrency: number): void {
    if (this.#present?.ready !== ready) this.#present = new Throughput(ready, now);
    this.#present.record(now, finished, concurrency);
  }

  /**
   * @param desired replicas that the load asks for
   * @param least replicas that are kept anyway
   * @returns undefined while as many as desired may help
   */
  judge(now: number, desired: number, least: number): UsefulReplicas | undefined {
    const measured = this.#present?.measure(now);
    this.#review(now, measured);
    if (this.#trial) this.#judgeTrial(this.#trial, now, desired, measured);
    else if (measured) this.#begin(now, desired, least, measured);
    return this.#trial ? trying(this.#trial) : this.#verdict;
  }

  /** A verdict is for a time, and for the load that it was made under. */
  #review(now: number, measured: Measured | undefined): void {
    if (!this.#verdict) return;
    if (measured && isOtherLoad(measured.concurrency, this.#verdict.concurrency)) {
      this.#verdict = undefined;
      this.#pauseMs = FIRST_PAUSE_MS;
    } else if (now >= this.#verdict.until) {
      this.#verdict = undefined;
      this.#lengthenPause();
    }
  }

  #begin(now: number, desired: number, least: number, before: Measured): void {
    const replicas = Math.max(least, Math.ceil(before.ready / 2));
    // With less to do than there are replicas for, the rate is that of the callers.
    const isBusy = desired >= before.ready && before.rate >= LEAST_RATE;
    if (now < this.#nextTrialAt || replicas >= before.ready || !isBusy) return;
    this.#trial = { before, replicas, until: now + LONGEST_TRIAL_MS };
  }

  #judgeTrial(trial: Trial, now: number, desired: number, measured: Measured | undefined): void {
    const { before, replicas, until } = trial;
    if (desired < before.ready || now >= until) {
      this.#trial = undefined;
      this.#pause(now);
    } else if (measured?.ready === replicas) {
      this.#trial = undefined;
      const isAsGood =
        measured.rate * LEAST_GAIN >= before.rate && !isOtherLoad(measured.concurrency, before.concurrency);
      if (isAsGood) {
        const { concurrency } = measured;
        this.#verdict = { replicas, text: comparison(before, measured), until: now + this.#pauseMs, concurrency };
      } else this.#pause(now);
    }
  }

  #pause(now: number): void {
    this.#nextTrialAt = now + this.#pauseMs;
    this.#lengthenPause();
  }

  #lengthenPause(): void {
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
  }
}

/** Calls pile up: what is in flight has become much more. */
function isOtherLoad(concurrency: number, before: number): boolean {
  return concurrency > before * OTHER_LOAD + FEW_CALLS;
}

function trying({ before: { ready, rate }, replicas }: Trial): UsefulReplicas {
  return { replicas, text: `${ready} get ${Math.round(rate)} calls/s through; it is tried whether ${replicas} would` };
}

function comparison(more: Measured, fewer: Measured): string {
  return `more replicas do not help: ${more.ready} got ${Math.round(more.rate)} calls/s through, ${fewer.ready} ${Math.round(fewer.rate)}`;
}
