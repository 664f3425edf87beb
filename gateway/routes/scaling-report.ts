import { formatDuration } from "../../contract/duration.ts";
import type { ScalePolicy } from "../../contract/scale-policy.ts";
import type { ScalingDecision, ScalingReport } from "../../contract/scaling.ts";
import type { Autoscaler, Scalable } from "../scaling/autoscaler.ts";
import type { RecordedDecision, WatchedFunction } from "../scaling/watched-function.ts";

/** A function's scaling as clients get it. */
export function buildScalingReport(
  { snapshot, readyReplicas, qualifiedName }: Scalable,
  watched: WatchedFunction,
  autoscaler: Pick<Autoscaler, "leading" | "leader" | "refused" | "wallOf" | "now">,
): ScalingReport {
  const { now } = autoscaler;
  const iso = (ms: number) => new Date(autoscaler.wallOf(ms)).toISOString();
  const policy = watched.policyFor(snapshot);
  const { leading, leader } = autoscaler;
  const refused = autoscaler.refused(qualifiedName);
  return {
    function: snapshot.name,
    namespace: snapshot.namespace,
    replicas: snapshot.replicas,
    ready: readyReplicas,
    type: policy.type,
    settings: policySettings(policy),
    problems: [...watched.problems],
    ...(refused !== undefined && { refused }),
    leading,
    ...(leader !== undefined && { leader }),
    lastBusyAt: iso(watched.lastBusyAt),
    ...handOf(watched, policy, now, iso),
    alerted: watched.isAlerted(now),
    ...(policy.prewarm && {
      prewarm: { likely: watched.pattern.likely(autoscaler.wallOf(now)), ...watched.pattern.score },
    }),
    ...(watched.last && { last: buildDecision(watched.last, iso) }),
    decisions: watched.recorded.map((made) => buildDecision(made, iso)),
  };
}

type Iso = (ms: number) => string;

function handOf(
  { byHand }: WatchedFunction,
  { windowMs }: ScalePolicy,
  now: number,
  iso: Iso,
): Pick<ScalingReport, "byHand"> {
  const set = byHand.last;
  if (!set || now >= set.at + windowMs) return {};
  return { byHand: { replicas: set.replicas, at: iso(set.at), until: iso(set.at + windowMs) } };
}

function buildDecision({ at, from, ready, decision }: RecordedDecision, iso: Iso): ScalingDecision {
  const { replicas, reason, panic, stableLoad, panicLoad, steps } = decision;
  return {
    at: iso(at),
    from,
    ready,
    to: replicas,
    reason,
    panic,
    ...(stableLoad !== undefined && { load: stableLoad }),
    ...(panicLoad !== undefined && { burstLoad: panicLoad }),
    steps: steps.map((step) => ({ ...step })),
  };
}

const duration = (ms: number) => (ms === 0 ? "0s" : formatDuration(ms));

/** Under the names of the labels that set them, and in their units. */
export function policySettings(policy: ScalePolicy): ScalingReport["settings"] {
  return {
    min: policy.min,
    max: policy.max,
    target: policy.target,
    "target-proportion": policy.upProportion,
    "down-proportion": policy.downProportion,
    zero: policy.zero,
    ...(policy.zero && { "zero-duration": duration(policy.zeroDurationMs) }),
    window: duration(policy.windowMs),
    "panic-window": Math.round((policy.panicWindowMs / policy.windowMs) * 100),
    "panic-threshold": Math.round(policy.panicThreshold * 100),
    "up-rate": policy.upRate,
    "down-rate": policy.downRate,
    "up-delay": duration(policy.upDelayMs),
    "down-delay": duration(policy.downDelayMs),
    burst: policy.burst,
    initial: policy.initial,
    activation: policy.activation,
    ...(policy.queueSize !== undefined && { "queue.size": policy.queueSize }),
    ...(policy.query !== undefined && { query: policy.query }),
    windows: policy.windows.length,
    prewarm: policy.prewarm,
    ...(policy.checkGain !== undefined && { "check-gain": policy.checkGain }),
    factor: policy.factor,
  };
}
