import { parseScalePolicy, type ScaleDefaults } from "../../contract/scale-policy.ts";
import type { ResolvedDeployment } from "./backend.ts";

type Labelled = Pick<ResolvedDeployment, "labels" | "annotations">;

const MIN = "com.openfaas.scale.min";

/** What a backend itself needs of how a function wants to be scaled. */
export interface ScaleBounds {
  /** Replicas that an update leaves it at least; 0 when it asks for none. */
  readonly min: number;
  /** Replicas that it begins with, at least 1. */
  readonly initial: number;
}

/** What labels for scaling are judged by. */
export interface ScaleRules {
  /** Most replicas of one function. */
  readonly maxReplicas: number;
  /** The gateway's. */
  readonly scaleDefaults: ScaleDefaults;
}

/** Rules that a deployment's labels and annotations for scaling break, a line each. */
export function scaleProblems({ labels, annotations }: Labelled, { maxReplicas, scaleDefaults }: ScaleRules): string[] {
  const { policy, problems } = parseScalePolicy(labels, annotations, scaleDefaults);
  const over = (name: string, value: number) => `${name}: ${value} is over the limit of ${maxReplicas} replicas`;
  return [
    ...problems,
    ...(policy.min > maxReplicas ? [over(MIN, policy.min)] : []),
    ...(policy.initial > Math.max(policy.min, maxReplicas) ? [over("com.faaslane.scale.initial", policy.initial)] : []),
  ];
}

/** @param deployment one without {@link scaleProblems} */
export function readScaleBounds(
  { labels, annotations }: Labelled,
  { scaleDefaults }: Pick<ScaleRules, "scaleDefaults">,
): ScaleBounds {
  const { policy } = parseScalePolicy(labels, annotations, scaleDefaults);
  const given = [MIN, "com.openfaas.min.scale"].some((name) => Number(labels?.[name] ?? annotations?.[name] ?? 0) > 0);
  return { min: given ? policy.min : 0, initial: Math.max(policy.initial, policy.min) };
}
