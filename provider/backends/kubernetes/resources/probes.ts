import type { V1Probe } from "@kubernetes/client-node";
import { FUNCTION_PORT, HEALTH_PATH } from "./names.ts";
import type { ProbeTiming, ResourceSettings } from "./settings.ts";

const HEALTH = "com.openfaas.health.http.";
const READY = "com.openfaas.ready.http.";

type Annotations = Readonly<Record<string, string>>;

/** Fields that an annotation may set, and the least Kubernetes takes. Liveness succeeds on the first success, always. */
const HEALTH_FIELDS = { initialDelaySeconds: 0, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1 } as const;
const READY_FIELDS = { ...HEALTH_FIELDS, successThreshold: 1 } as const;

const MAX = 2 ** 31 - 1;

function parseField(text: string, least: number): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= MAX ? value : undefined;
}

/** Annotations about probes that cannot be followed, one line each. */
export function probeProblems(annotations: Annotations = {}): string[] {
  const problems: string[] = [];
  for (const [prefix, fields] of [
    [HEALTH, HEALTH_FIELDS],
    [READY, READY_FIELDS],
  ] as const) {
    const path = annotations[`${prefix}path`];
    if (path !== undefined && !/^\/[\x21-\x7e]*$/.test(path)) {
      problems.push(`annotations.${prefix}path: "${path}" is not a path such as /healthz`);
    }
    for (const [field, least] of Object.entries(fields)) {
      const text = annotations[prefix + field];
      if (text !== undefined && parseField(text, least) === undefined) {
        problems.push(`annotations.${prefix}${field}: "${text}" is not a whole number of at least ${least}`);
      }
    }
  }
  return problems;
}

function buildProbe(
  annotations: Annotations,
  prefix: string,
  fields: Readonly<Record<string, number>>,
  timing: ProbeTiming,
  path: string | undefined,
): V1Probe {
  const tuned = Object.entries(fields).flatMap(([field, least]) => {
    const value = parseField(annotations[prefix + field] ?? "", least);
    return value === undefined ? [] : [[field, value] as const];
  });
  return {
    ...(path === undefined
      ? { exec: { command: ["cat", "/tmp/.lock"] } }
      : { httpGet: { path, port: FUNCTION_PORT, scheme: "HTTP" } }),
    ...timing,
    ...Object.fromEntries(tuned),
  };
}

/** Liveness and readiness. A path of the function's own is asked over HTTP even where lock files are the rule. */
export function buildProbes(
  annotations: Annotations = {},
  { httpProbe, liveness, readiness }: Pick<ResourceSettings, "httpProbe" | "liveness" | "readiness">,
): { readonly livenessProbe: V1Probe; readonly readinessProbe: V1Probe } {
  const health = annotations[`${HEALTH}path`] ?? (httpProbe ? HEALTH_PATH : undefined);
  const ready = annotations[`${READY}path`] ?? health;
  return {
    livenessProbe: buildProbe(annotations, HEALTH, HEALTH_FIELDS, { ...liveness, successThreshold: 1 }, health),
    readinessProbe: buildProbe(annotations, READY, READY_FIELDS, readiness, ready),
  };
}
