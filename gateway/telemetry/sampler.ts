/** Which traces are recorded, before it is known how their calls end. */
export interface Sampler {
  /** Whether who has begun a trace decides. */
  readonly parentBased: boolean;
  /** Share of the traces that are decided here, from 0 to 1. */
  readonly ratio: number;
}

export const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;
export type SamplerName = (typeof SAMPLERS)[number];

/** @param ratio for the samplers that take one */
export function buildSampler(name: SamplerName, ratio: number): Sampler {
  const parentBased = name.startsWith("parentbased_");
  const kind = parentBased ? name.slice("parentbased_".length) : name;
  const share = kind === "always_on" ? 1 : kind === "always_off" ? 0 : ratio;
  return { parentBased, ratio: share };
}

/** Hexadecimal digits at the end of a trace's id, which are random, whoever has made it. */
const RANDOM_DIGITS = 14;
const RANDOM_VALUES = 16 ** RANDOM_DIGITS;

/**
 * Decides alike wherever a trace is met.
 * @param parentSampled undefined for a trace that begins here
 * @see https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
 */
export function decideSampling(sampler: Sampler, traceId: string, parentSampled: boolean | undefined): boolean {
  if (sampler.parentBased && parentSampled !== undefined) return parentSampled;
  if (sampler.ratio >= 1) return true;
  if (sampler.ratio <= 0) return false;
  return Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) >= (1 - sampler.ratio) * RANDOM_VALUES;
}
