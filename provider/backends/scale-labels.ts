import { FaasError } from "../contract/errors.ts";

const MIN = "com.openfaas.scale.min";
const MAX = "com.openfaas.scale.max";

/** Bounds that the function's labels set; the provider itself only needs `min`. */
export interface ScaleBounds {
  readonly min?: number;
  readonly max?: number;
}

/** Rules that the labels break, one line each. */
export function scaleLabelProblems(labels: Readonly<Record<string, string>> = {}, maxReplicas: number): string[] {
  const check = (some: Readonly<Record<string, string>>): string[] => {
    try {
      parseScaleLabels(some, maxReplicas);
      return [];
    } catch (error) {
      if (error instanceof FaasError) return [error.message];
      throw error;
    }
  };
  // One label at a time, so that two mistakes are told at once; together, for how they relate.
  const alone = Object.entries(labels).flatMap(([key, value]) => check({ [key]: value }));
  return alone.length > 0 ? alone : check(labels);
}

/** @throws {FaasError} `invalid` naming the label */
export function parseScaleLabels(labels: Readonly<Record<string, string>> = {}, maxReplicas: number): ScaleBounds {
  const read = (label: string, least: number): number | undefined => {
    const text = labels[label];
    if (text === undefined) return undefined;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least) return value;
    throw new FaasError("invalid", `${label}: "${text}" is not a whole number of at least ${least}`);
  };
  const min = read(MIN, 0);
  const max = read(MAX, 1);
  if (min !== undefined && min > maxReplicas) {
    throw new FaasError("invalid", `${MIN}: ${min} is over the limit of ${maxReplicas} replicas`);
  }
  if (min !== undefined && max !== undefined && min > max) {
    throw new FaasError("invalid", `${MIN}: ${min} is greater than ${MAX}: ${max}`);
  }
  return { ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
}
