import type { ScalePolicy } from "../../../contract/scale-policy.ts";
import type { ScaleReason } from "./decision.ts";
import { FunctionScaler } from "./function-scaler.ts";
import { hasWork, loadOf, type Sample } from "./sample.ts";
import { scheduledBounds } from "./schedule.ts";

export interface SimulationOptions {
  readonly policy: ScalePolicy;
  /** From wanting a replica to its being ready, in milliseconds. */
  readonly startMs: number;
  /** Between two decisions. */
  readonly tickMs: number;
}

/** What would have been, at the time of one sample. */
export interface SimulatedSecond {
  readonly t: number;
  /** By the type of the policy. */
  readonly load: number;
  readonly wanted: number;
  readonly ready: number;
  readonly reason: ScaleReason;
}

export interface Simulation {
  readonly seconds: readonly SimulatedSecond[];
  /** Calls that would have come while no replica was ready. */
  readonly coldStarts: number;
  readonly replicaSeconds: number;
  /** Seconds with more load than the ready replicas are meant for. */
  readonly overloadedSeconds: number;
  readonly changes: number;
}

const SECOND_MS = 1000;

/** Fills in the seconds that a history leaves out: a fact stands until the next one. */
export function* everySecond(history: readonly Sample[]): Generator<Sample> {
  for (const [i, sample] of history.entries()) {
    yield sample;
    // Samples are a little late at times; half a second more is none of its own.
    const until = (history[i + 1]?.t ?? sample.t) - SECOND_MS / 2;
    for (let t = sample.t + SECOND_MS; t < until; t += SECOND_MS) yield { ...sample, t };
  }
}

/** Decides again over a recorded history, oldest sample first, as if the function had another policy. */
export function simulate(history: readonly Sample[], options: SimulationOptions): Simulation {
  const replicas = new SimulatedReplicas(history[0], options.startMs);
  const scaler = new SimulatedScaler(history[0], options);
  const seconds: SimulatedSecond[] = [];
  const totals = { coldStarts: 0, replicaSeconds: 0, overloadedSeconds: 0 };
  let previous = history[0]?.t ?? 0;
  for (const sample of everySecond(history)) {
    const { t } = sample;
    replicas.advance(t);
    const elapsed = (t - previous) / SECOND_MS;
    previous = t;
    const load = scaler.observe(sample);
    if (replicas.ready === 0) totals.coldStarts += sample.started;
    totals.replicaSeconds += replicas.count * elapsed;
    if (load > replicas.ready * options.policy.target) totals.overloadedSeconds += elapsed;
    if (scaler.isDue(sample)) replicas.adjust(scaler.decide(sample, replicas.ready), t);
    seconds.push({ t, load, wanted: scaler.wanted, ready: replicas.ready, reason: scaler.reason });
  }
  return { seconds, ...totals, changes: scaler.changes };
}

/** Replicas that take their time to start. */
class SimulatedReplicas {
  ready: number;
  readonly #startMs: number;
  /** When each replica that was asked for is ready. */
  #starting: number[] = [];

  constructor(first: Sample | undefined, startMs: number) {
    this.ready = first?.ready ?? 0;
    this.#startMs = startMs;
  }

  /** Those that start included. */
  get count(): number {
    return this.ready + this.#starting.length;
  }

  advance(now: number): void {
    this.ready += this.#starting.filter((at) => at <= now).length;
    this.#starting = this.#starting.filter((at) => at > now);
  }

  /** Of too many, those that have not started yet go first. */
  adjust(wanted: number, now: number): void {
    const missing = wanted - this.count;
    if (missing > 0) this.#starting.push(...new Array<number>(missing).fill(now + this.#startMs));
    else if (missing < 0) {
      const cancelled = Math.min(-missing, this.#starting.length);
      this.#starting.splice(this.#starting.length - cancelled, cancelled);
      this.ready -= -missing - cancelled;
    }
  }
}

/** Decides at each tick, as the autoscaler does. */
class SimulatedScaler {
  wanted: number;
  reason: ScaleReason = "no-data";
  changes = 0;
  readonly #policy: ScalePolicy;
  readonly #tickMs: number;
  readonly #scaler: FunctionScaler;
  #lastBusyAt: number;
  #nextTickAt = 0;

  constructor(first: Sample | undefined, { policy, tickMs }: SimulationOptions) {
    this.wanted = first?.replicas ?? 0;
    this.#lastBusyAt = first?.t ?? 0;
    this.#policy = policy;
    this.#tickMs = tickMs;
    this.#scaler = new FunctionScaler(policy);
  }

  /** @returns the load, by the type of the policy */
  observe(sample: Sample): number {
    const load = loadOf(this.#policy.type, sample);
    const busy = hasWork(sample);
    // Of a function asleep that nobody calls there is no load to average.
    if (load !== undefined && (busy || this.wanted > 0)) this.#scaler.record(sample.t, load);
    if (busy) this.#lastBusyAt = sample.t;
    return load ?? 0;
  }

  /** At each tick, and at once for a call of a function asleep. */
  isDue({ t, started }: Sample): boolean {
    return t >= this.#nextTickAt || (this.wanted === 0 && started > 0);
  }

  decide(sample: Sample, ready: number): number {
    const { t } = sample;
    this.#nextTickAt = t + this.#tickMs;
    const scheduled = scheduledBounds(this.#policy.windows, t);
    const decision = this.#scaler.decide({
      now: t,
      policy: this.#policy,
      replicas: this.wanted,
      ready,
      held: ready === 0 ? Math.max(sample.held, sample.started) : 0,
      busy: hasWork(sample),
      lastBusyAt: this.#lastBusyAt,
      ...(scheduled && { scheduled }),
    });
    if (decision.replicas !== this.wanted) this.changes++;
    this.reason = decision.reason;
    this.wanted = decision.replicas;
    return this.wanted;
  }
}
