import { Tally, type TallyReport } from "../../kit/histogram.ts";
import { TrialCounts, type TrialReport } from "../core/rollout/trial-counts.ts";
import { type MirrorReport, MirrorTally } from "./mirror-tally.ts";

/** Upper bounds of the duration histogram, in seconds: those of OpenFaaS's `gateway_functions_seconds`. */
export const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Upper bounds for calls that waited for a replica, in seconds. */
const COLD_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** Upper bounds of the time to the first byte, in seconds. Most answers begin sooner than the shortest call of OpenFaaS's. */
const FIRST_BYTE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** What a meter has counted since it was last read off. */
export interface MeterReport {
  readonly started: number;
  readonly ended: number;
  readonly codes: readonly (readonly [code: number, tally: TallyReport])[];
  readonly cold: TallyReport | undefined;
  readonly firstBytes: TallyReport;
  readonly waits: TallyReport | undefined;
  readonly coldStarts: number;
  /** With the key of what it was counted for. */
  readonly trial?: TrialReport & { readonly key: string };
  readonly mirror?: MirrorReport | undefined;
}

/** Counts the calls of one function. Plain numbers: it runs for every call, and is read only when somebody scrapes. */
export class FunctionMeter {
  started = 0;
  /** Calls that ended, by status code, in seconds. */
  codes = new Map<number, Tally>();
  /** Calls that waited for a replica, by the time until their answer began; undefined while there were none. */
  cold: Tally | undefined;
  /** Calls that a replica began to answer, by the time from their sending. */
  firstBytes = new Tally(FIRST_BYTE_BUCKETS);
  /** Calls that waited for a replica, by how long that took, or until they were given up; undefined as above. */
  waits: Tally | undefined;
  /** Of these, calls whose replica came up while they waited. */
  coldStarts = 0;
  /** What a rollout is judged by; undefined unless one is under way. */
  trial: TrialCounts | undefined;
  /** Of copies that it got of other versions' calls; undefined while there were none. */
  mirror: MirrorTally | undefined;
  #ended = 0;

  /** Calls under way. */
  get inFlight(): number {
    return this.started - this.#ended;
  }

  /** Calls that ended, whatever their status. */
  get ended(): number {
    return this.#ended;
  }

  start(): void {
    this.started++;
  }

  /** @param seconds from `start` to the last byte */
  end(code: number, seconds: number): void {
    this.#ended++;
    this.#codeTally(code).observe(seconds);
  }

  #codeTally(code: number): Tally {
    let tally = this.codes.get(code);
    if (!tally) {
      tally = new Tally(DURATION_BUCKETS);
      this.codes.set(code, tally);
    }
    return tally;
  }

  /** @param seconds from the sending of a call to its first byte */
  answered(seconds: number): void {
    this.firstBytes.observe(seconds);
  }

  /** @param seconds that a call waited for a replica */
  waited(seconds: number): void {
    this.waits ??= new Tally(COLD_BUCKETS);
    this.waits.observe(seconds);
  }

  /**
   * @param seconds from the arrival of a call that waited for a replica to its first byte
   * @param cold whether the replica came up while it waited
   */
  firstByte(seconds: number, cold: boolean): void {
    if (cold) this.coldStarts++;
    this.cold ??= new Tally(COLD_BUCKETS);
    this.cold.observe(seconds);
  }

  /** Reads off what was counted, for whoever adds it up, and begins anew; undefined when that is nothing. */
  take(): MeterReport | undefined {
    const { started, codes, cold, firstBytes, waits, coldStarts, trial, mirror } = this;
    const ended = this.#ended;
    const isIdle = started === 0 && ended === 0 && firstBytes.count === 0 && !cold && !waits;
    // Copies are in nothing but these two.
    if (isIdle && !mirror && !trial?.any) return undefined;
    this.started = 0;
    this.#ended = 0;
    this.codes = new Map();
    this.cold = undefined;
    this.firstBytes = new Tally(FIRST_BYTE_BUCKETS);
    this.waits = undefined;
    this.coldStarts = 0;
    this.mirror = undefined;
    const counted = {
      started,
      ended,
      codes: [...codes],
      cold,
      firstBytes,
      waits,
      coldStarts,
      mirror: mirror?.report(),
    };
    if (!trial) return counted;
    this.trial = new TrialCounts(trial.key);
    return { ...counted, trial: { key: trial.key, ...trial.report() } };
  }

  /** What was counted so far, for whoever adds it up. */
  read(): MeterReport {
    const { started, codes, cold, firstBytes, waits, coldStarts, mirror } = this;
    const ended = this.#ended;
    return { started, ended, codes: [...codes], cold, firstBytes, waits, coldStarts, mirror: mirror?.report() };
  }

  /** Adds what another meter of the same function has counted. */
  add({ started, ended, codes, cold, firstBytes, waits, coldStarts, trial, mirror }: MeterReport): void {
    this.coldStarts += coldStarts;
    this.started += started;
    this.#ended += ended;
    for (const [code, tally] of codes) this.#codeTally(code).add(tally);
    this.firstBytes.add(firstBytes);
    if (trial && this.trial?.key === trial.key) this.trial.add(trial);
    if (mirror) {
      this.mirror ??= new MirrorTally();
      this.mirror.add(mirror);
    }
    if (cold) {
      this.cold ??= new Tally(COLD_BUCKETS);
      this.cold.add(cold);
    }
    if (waits) {
      this.waits ??= new Tally(COLD_BUCKETS);
      this.waits.add(waits);
    }
  }
}
