import type { FunctionDeployment, FunctionRef } from "../../../contract/functions.ts";
import type { ResolvedDeployment } from "../backend.ts";

/** All that is kept about one function. */
export interface StoredFunction extends FunctionRef {
  /** Without empty fields, see {@link normaliseDeployment}. */
  readonly deployment: ResolvedDeployment;
  /** Digest of the artefact that `deployment.image` meant when it was deployed. */
  readonly digest: string;
  /** Replicas wanted. */
  readonly replicas: number;
  /** Tells a function from an earlier one of the same name. */
  readonly uid: number;
  /** Grows with every update; never used twice, not even by another function. */
  readonly generation: number;
  /** RFC 3339, to the second. */
  readonly createdAt: string;
}

function sorted<V>(map: Readonly<Record<string, V>>): Record<string, V> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const isEmpty = (value: unknown) =>
  value === undefined ||
  value === "" ||
  value === false ||
  (typeof value === "object" && value !== null && Object.values(value).every((v) => v === undefined || v === ""));

/**
 * The deployment as it is kept: maps sorted by key, secrets sorted and named once, nothing empty. Two deployments that
 * mean the same have the same JSON text.
 */
export function normaliseDeployment(deployment: ResolvedDeployment): ResolvedDeployment {
  const { service, image, namespace, secrets, envVars, labels, annotations, constraints, limits, requests } =
    deployment;
  const optional: Partial<FunctionDeployment> = {
    envProcess: deployment.envProcess,
    readOnlyRootFilesystem: deployment.readOnlyRootFilesystem,
    limits: limits && sorted(limits),
    requests: requests && sorted(requests),
  };
  const named = {
    annotations: Object.keys(annotations ?? {}).length > 0 ? sorted(annotations ?? {}) : undefined,
    constraints: constraints?.length ? constraints : undefined,
    envVars: Object.keys(envVars ?? {}).length > 0 ? sorted(envVars ?? {}) : undefined,
    labels: Object.keys(labels ?? {}).length > 0 ? sorted(labels ?? {}) : undefined,
    secrets: secrets?.length ? [...new Set(secrets)].sort() : undefined,
    version: deployment.version,
  };
  const kept = Object.entries(optional).filter(([, value]) => !isEmpty(value));
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  return { service, image, namespace, ...Object.fromEntries([...kept, ...given]) };
}

/** Whether deploying `next` with `digest` would leave everything as it is, whatever its version is called. */
export function isUnchanged(current: StoredFunction, next: ResolvedDeployment, digest: string): boolean {
  return current.digest === digest && textOf(current.deployment) === textOf(next);
}

function textOf({ version: _version, ...deployment }: ResolvedDeployment): string {
  return JSON.stringify(deployment);
}
