import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import {
  type ParsedScalePolicy,
  parseScalePolicy,
  type ScaleDefaults,
  type ScalePolicy,
} from "../../contract/scale-policy.ts";
import { ByHand } from "../core/scaling/by-hand.ts";
import { DailyPattern, type StoredPattern } from "../core/scaling/daily-pattern.ts";
import type { Decision, ScaleInput } from "../core/scaling/decision.ts";
import { FunctionScaler } from "../core/scaling/function-scaler.ts";
import type { FunctionLoad } from "../core/scaling/load-book.ts";
import { hasWork, loadOf, type Sample } from "../core/scaling/sample.ts";
import { scheduledBounds } from "../core/scaling/schedule.ts";
import { SampleHistory } from "./history.ts";

/** A decision that changed something, or began to give another reason. */
export interface RecordedDecision {
  readonly at: number;
  /** Replicas wanted and ready before. */
  readonly from: number;
  readonly ready: number;
  readonly decision: Decision;
}

/** What is known of a function beyond the calls at gateways. */
export interface OutsideLoad {
  /** Undefined when the queue does not tell. */
  readonly queued: number | undefined;
  readonly cpu?: number;
  readonly custom?: number;
}

const MAX_RECORDED = 100;
/** After an alert the function is left to alerts for so long; Alertmanager repeats them every half minute. */
const ALERT_MS = 5 * 60_000;

/** All that the autoscaler remembers of one function. */
export class WatchedFunction {
  readonly history = new SampleHistory();
  readonly byHand = new ByHand();
  readonly pattern: DailyPattern;
  readonly recorded: RecordedDecision[] = [];
  last: RecordedDecision | undefined;
  problems: readonly string[] = [];
  lastBusyAt: number;
  readonly #defaults: ScaleDefaults;
  readonly #wallOf: (ms: number) => number;
  #scaler: FunctionScaler;
  #policy: ScalePolicy;
  #parsed: FunctionEndpoints;
  #busy = false;
  /** At the end of the last second. */
  #inFlight = 0;
  #disconnected = false;
  #alertUntil = 0;

  /**
   * @param now milliseconds of a clock that only goes forward, as all times here
   * @param wallOf such a time by the system's clock, which schedules and times of day go by
   */
  constructor(
    snapshot: FunctionEndpoints,
    now: number,
    defaults: ScaleDefaults,
    wallOf: (ms: number) => number,
    pattern?: StoredPattern,
  ) {
    this.#wallOf = wallOf;
    this.#defaults = defaults;
    this.#parsed = snapshot;
    this.#policy = this.#parse(snapshot);
    this.#scaler = new FunctionScaler(this.#policy);
    this.pattern = new DailyPattern(wallOf(now), pattern);
    this.lastBusyAt = now;
  }

  #parse({ labels, annotations }: FunctionEndpoints): ScalePolicy {
    const { policy, problems } = parseScalePolicy(labels, annotations, this.#defaults);
    this.problems = problems;
    return policy;
  }

  policyFor(snapshot: FunctionEndpoints): ScalePolicy {
    const { labels, annotations } = this.#parsed;
    // Every event brings the labels again, as new objects; they seldom differ.
    if (!isSame(snapshot.labels, labels) || !isSame(snapshot.annotations, annotations)) {
      this.#policy = this.#parse(snapshot);
    }
    this.#parsed = snapshot;
    return this.#policy;
  }

  /**
   * The policy that it would have with other labels; nothing changes by that.
   * @returns `problems` that those labels bring
   */
  policyWith({ labels, annotations }: FunctionEndpoints, others: Readonly<Record<string, string>>): ParsedScalePolicy {
    const { policy, problems } = parseScalePolicy({ ...labels, ...others }, annotations, this.#defaults);
    return { policy, problems: problems.filter((problem) => !this.problems.includes(problem)) };
  }

  /** Someone else scales it by alerts; it is left alone for a while. */
  alerted(now: number): void {
    this.#alertUntil = now + ALERT_MS;
  }

  isAlerted(now: number): boolean {
    return now < this.#alertUntil;
  }

  /**
   * Records about a second of load.
   * @param disconnected whether other gateways may have load that is not in `load`
   */
  record(
    now: number,
    snapshot: FunctionEndpoints,
    ready: number,
    load: FunctionLoad,
    outside: OutsideLoad,
    disconnected = false,
  ): void {
    const { type } = this.policyFor(snapshot);
    this.#see(now, snapshot);
    const { concurrency, started, inFlight, held } = load;
    const { queued = 0, cpu, custom } = outside;
    const sample: Sample = {
      t: now,
      concurrency: Math.round(concurrency * 1000) / 1000,
      started,
      inFlight,
      held,
      queued,
      ...(cpu !== undefined && { cpu }),
      ...(custom !== undefined && { custom }),
      replicas: snapshot.replicas,
      ready,
    };
    const finished = Math.max(0, started + this.#inFlight - inFlight);
    this.#inFlight = inFlight;
    this.#busy = hasWork(sample) || outside.queued === undefined || disconnected;
    if (this.#busy) this.lastBusyAt = now;
    if (started > 0) this.pattern.called(this.#wallOf(now));
    this.history.add(sample);
    // What is missing must not look like less load, then or later: it begins anew, as after a restart.
    if (this.#disconnected && !disconnected) this.#scaler = new FunctionScaler(this.#policy);
    this.#disconnected = disconnected;
    if (disconnected) return;
    this.#scaler.recordThroughput(now, ready, finished, concurrency);
    const value = loadOf(type, sample);
    if (value !== undefined && (this.#busy || snapshot.replicas > 0)) this.#scaler.record(now, value);
  }

  /** @param knownLoad why its load is not to be trusted, or may be more than is known */
  decide(
    now: number,
    snapshot: FunctionEndpoints,
    ready: number,
    held: number,
    knownLoad: Pick<ScaleInput, "unknownLoad" | "partialLoad"> = {},
  ): Decision {
    const policy = this.policyFor(snapshot);
    this.#see(now, snapshot);
    const scheduled = scheduledBounds(policy.windows, this.#wallOf(now));
    const { replicas } = snapshot;
    const decision = this.#scaler.decide({
      now,
      policy,
      replicas,
      ready,
      held,
      busy: this.#busy || held > 0,
      lastBusyAt: this.lastBusyAt,
      ...knownLoad,
      ...(scheduled && { scheduled }),
      ...machineRules(snapshot, policy),
      prewarm: policy.prewarm && this.pattern.likely(this.#wallOf(now)),
      byHand: this.byHand.last,
    });
    this.#record({ at: now, from: replicas, ready, decision });
    return decision;
  }

  #see(now: number, { replicas }: FunctionEndpoints): void {
    this.byHand.see(replicas, { now, decided: this.last?.decision.replicas, least: this.#policy.min });
  }

  #record(made: RecordedDecision): void {
    const before = this.recorded.at(-1);
    const changes = made.decision.replicas !== made.from && before?.decision.replicas !== made.decision.replicas;
    const otherReason = before?.decision.reason !== made.decision.reason;
    this.last = made;
    if (!changes && !otherReason) return;
    this.recorded.push(made);
    if (this.recorded.length > MAX_RECORDED) this.recorded.shift();
  }
}

/** On one machine replicas share its processors: functions that do not say otherwise get no more than are of use. */
function machineRules(
  { cores }: FunctionEndpoints,
  { maxGiven, targetGiven, checkGain }: ScalePolicy,
): Pick<ScaleInput, "cores" | "checkGain"> {
  return {
    ...(cores !== undefined && !maxGiven && { cores }),
    checkGain: checkGain ?? (cores !== undefined && !targetGiven),
  };
}

type Strings = Readonly<Record<string, string>> | undefined;

function isSame(a: Strings, b: Strings): boolean {
  if (a === b) return true;
  const names = Object.keys(a ?? {});
  return names.length === Object.keys(b ?? {}).length && names.every((name) => a?.[name] === b?.[name]);
}
