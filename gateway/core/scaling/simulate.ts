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
export function simulate(history: readonly Sample[], { policy, startMs, tickMs }: SimulationOptions): Simulation {
  const scaler = new FunctionScaler(policy);
  const first = history[0];
  let wanted = first?.replicas ?? 0;
  let ready = first?.ready ?? 0;
  let lastBusyAt = first?.t ?? 0;
  let nextTickAt = 0;
  let reason: ScaleReason = "no-data";
  /** When each replica that was asked for is ready. */
  let starting: number[] = [];
  const seconds: SimulatedSecond[] = [];
  const totals = { coldStarts: 0, replicaSeconds: 0, overloadedSeconds: 0, changes: 0 };

  let previous = first?.t ?? 0;
  for (const sample of everySecond(history)) {
    const { t } = sample;
    ready += starting.filter((at) => at <= t).length;
    starting = starting.filter((at) => at > t);
    const elapsed = (t - previous) / SECOND_MS;
    previous = t;
    const load = loadOf(policy.type, sample);
    const busy = hasWork(sample);
    // As the autoscaler does it: of a function asleep that nobody calls there is no load to average.
    if (load !== undefined && (busy || wanted > 0)) scaler.record(t, load);
    if (busy) lastBusyAt = t;
    const asleep = ready === 0;
    if (asleep) totals.coldStarts += sample.started;
    totals.replicaSeconds += (ready + starting.length) * elapsed;
    if ((load ?? 0) > ready * policy.target) totals.overloadedSeconds += elapsed;

    if (t >= nextTickAt || (wanted === 0 && sample.started > 0)) {
      nextTickAt = t + tickMs;
      const scheduled = scheduledBounds(policy.windows, t);
      const held = asleep ? Math.max(sample.held, sample.started) : 0;
      const decision = scaler.decide({
        now: t,
        policy,
        replicas: wanted,
        ready,
        held,
        busy,
        lastBusyAt,
        ...(scheduled && { scheduled }),
      });
      if (decision.replicas !== wanted) totals.changes++;
      ({ reason } = decision);
      wanted = decision.replicas;
      const missing = wanted - ready - starting.length;
      if (missing > 0) starting.push(...new Array<number>(missing).fill(t + startMs));
      else if (missing < 0) {
        const cancelled = Math.min(-missing, starting.length);
        starting.splice(starting.length - cancelled, cancelled);
        ready -= -missing - cancelled;
      }
    }
    seconds.push({ t, load: load ?? 0, wanted, ready, reason });
  }
  return { seconds, ...totals };
}
