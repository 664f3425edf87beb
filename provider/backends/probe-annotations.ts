/** When a probe runs and what it takes, as Kubernetes counts: seconds and tries. */
export interface ProbeTiming {
  readonly initialDelaySeconds: number;
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

/** Those of OpenFaaS's chart, but that functions are asked for readiness at once. */
export const DEFAULT_PROBES: { readonly liveness: ProbeTiming; readonly readiness: ProbeTiming } = {
  liveness: { initialDelaySeconds: 2, periodSeconds: 2, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3 },
  readiness: { initialDelaySeconds: 0, periodSeconds: 2, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3 },
};

/** How replicas of a function are asked. */
export interface ProbeRule extends ProbeTiming {
  /** Asked over HTTP; undefined where the function names none. */
  readonly path: string | undefined;
}

export interface ProbeRules {
  /** Whether it has to be started again. */
  readonly liveness: ProbeRule;
  /** Whether it is to get calls; its path is that of liveness unless it has one of its own. */
  readonly readiness: ProbeRule;
}

type Annotations = Readonly<Record<string, string>>;

const HEALTH = "com.openfaas.health.http.";
const READY = "com.openfaas.ready.http.";

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

function tune(
  annotations: Annotations,
  prefix: string,
  fields: Readonly<Record<string, number>>,
  defaults: ProbeTiming,
): ProbeTiming {
  const tuned = Object.entries(fields).flatMap(([field, least]) => {
    const value = parseField(annotations[prefix + field] ?? "", least);
    return value === undefined ? [] : [[field, value] as const];
  });
  return { ...defaults, ...Object.fromEntries(tuned) };
}

/** What the annotations of a function say; the rest is as in `defaults`. Values that are none are left out. */
export function readProbeRules(
  annotations: Annotations = {},
  defaults: { readonly liveness: ProbeTiming; readonly readiness: ProbeTiming },
): ProbeRules {
  const health = annotations[`${HEALTH}path`];
  const liveness = tune(annotations, HEALTH, HEALTH_FIELDS, { ...defaults.liveness, successThreshold: 1 });
  const readiness = tune(annotations, READY, READY_FIELDS, defaults.readiness);
  return {
    liveness: { ...liveness, path: health },
    readiness: { ...readiness, path: annotations[`${READY}path`] ?? health },
  };
}
