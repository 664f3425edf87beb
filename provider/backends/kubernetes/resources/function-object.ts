import type { V1ObjectMeta } from "@kubernetes/client-node";
import type { FunctionDeployment, FunctionResources, FunctionStatus } from "../../../../contract/functions.ts";
import type { ResolvedDeployment } from "../../backend.ts";
import type { Condition } from "./conditions.ts";
import { objectLabels, sortKeys } from "./names.ts";

/** `spec` of a Function; OpenFaaS's fields. `fprocess` is in `environment`, the namespace is the object's own. */
export interface FunctionSpec {
  readonly name: string;
  readonly image: string;
  /** Left over from OpenFaaS's first days; kept, never read. */
  readonly handler?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly constraints?: readonly string[];
  readonly secrets?: readonly string[];
  readonly limits?: FunctionResources;
  readonly requests?: FunctionResources;
  readonly readOnlyRootFilesystem?: boolean;
}

/** `status` of a Function. */
export interface FunctionObjectStatus {
  readonly conditions?: readonly Condition[];
  readonly replicas?: number;
  readonly availableReplicas?: number;
  readonly unavailableReplicas?: number;
  readonly observedGeneration?: number;
  readonly profiles?: readonly {
    readonly profileRef: { readonly name: string; readonly namespace: string };
    readonly observedGeneration: number;
  }[];
}

/** An object of kind Function, `openfaas.com/v1`. */
export interface FunctionObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: V1ObjectMeta;
  readonly spec: FunctionSpec;
  readonly status?: FunctionObjectStatus;
}

export const FUNCTION_API = "openfaas.com/v1";

const isEmpty = (value: unknown) =>
  value === undefined ||
  value === "" ||
  value === false ||
  (typeof value === "object" && value !== null && Object.keys(value).length === 0);

function withoutEmpty<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value))) as Partial<T>;
}

/** The Function that a deploy over the API comes to. */
export function deploymentToFunction(deployment: ResolvedDeployment): FunctionObject {
  const { service: name, image, namespace, envProcess, envVars, labels, annotations } = deployment;
  const { constraints, secrets, limits, requests, readOnlyRootFilesystem } = deployment;
  const optional = withoutEmpty({
    environment: sortKeys({ ...(envProcess && { fprocess: envProcess }), ...envVars }),
    labels: sortKeys(labels ?? {}),
    annotations: sortKeys(annotations ?? {}),
    constraints,
    secrets: [...new Set(secrets)].sort(),
    limits: withoutEmpty(limits ?? {}),
    requests: withoutEmpty(requests ?? {}),
    readOnlyRootFilesystem,
  }) as Partial<FunctionSpec>;
  return {
    apiVersion: FUNCTION_API,
    kind: "Function",
    metadata: { name, namespace, labels: objectLabels(name) },
    spec: { name, image, ...optional },
  };
}

/** Rules that only a Function can break; the rest is `deploymentProblems` of {@link functionToDeployment}. */
export function functionProblems({ metadata, spec }: FunctionObject): string[] {
  return spec.name === metadata.name
    ? []
    : [`spec.name: "${spec.name}" must be the name of the object, "${metadata.name}"`];
}

/** The deploy that a Function asks for. */
export function functionToDeployment({ metadata, spec }: FunctionObject): ResolvedDeployment {
  const { name: service, image, environment = {}, labels, annotations } = spec;
  const { constraints, secrets, limits, requests, readOnlyRootFilesystem } = spec;
  const { fprocess, ...envVars } = environment;
  const optional: Omit<Partial<FunctionDeployment>, "service" | "image" | "namespace"> = {
    ...(fprocess && { envProcess: fprocess }),
    envVars,
    ...(labels && { labels: { ...labels } }),
    ...(annotations && { annotations: { ...annotations } }),
    ...(constraints && { constraints: [...constraints] }),
    ...(secrets && { secrets: [...secrets] }),
    ...(limits && { limits }),
    ...(requests && { requests }),
    ...(readOnlyRootFilesystem && { readOnlyRootFilesystem }),
  };
  return { service, image, namespace: metadata.namespace ?? "", ...withoutEmpty(optional) };
}

/** A Function that has no Deployment, as lists show it. */
export function readFunctionStatus(object: FunctionObject): FunctionStatus {
  const { metadata, status } = object;
  const { service: name, ...definition } = functionToDeployment(object);
  const stalled = status?.conditions?.find((condition) => condition.type === "Stalled" && condition.status === "True");
  const createdAt = metadata.creationTimestamp && new Date(metadata.creationTimestamp).toISOString();
  return {
    name,
    ...definition,
    ...(createdAt && { createdAt: createdAt.replace(/\.\d+Z$/, "Z") }),
    problem: stalled?.message || "its objects are being applied",
  };
}
