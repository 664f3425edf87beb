import type { V1ManagedFieldsEntry, V1ObjectMeta } from "@kubernetes/client-node";
import type { FunctionDeployment, FunctionResources, FunctionStatus } from "../../../../contract/functions.ts";
import { TRAFFIC } from "../../../../contract/versions/traffic.ts";
import type { ResolvedDeployment } from "../../backend.ts";
import type { Condition } from "./conditions.ts";
import { FIELD_MANAGER, objectLabels, sortKeys } from "./names.ts";
import { readTrafficBlock, type ShownTraffic, type TrafficLine, trafficOf } from "./traffic-block.ts";

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
  /** Ours, in Knative's fields. */
  readonly traffic?: readonly TrafficLine[];
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
  /** Where calls go now; absent where nothing is kept of versions, as below. */
  readonly traffic?: readonly ShownTraffic[];
  readonly versions?: readonly ShownVersion[];
}

/** A version that is kept. */
export interface ShownVersion {
  /** `v3`. */
  readonly name: string;
  readonly image: string;
  readonly digest?: string;
  /** Wanted, and ready, of the function's own replicas or of those beside them. */
  readonly replicas: number;
  readonly availableReplicas: number;
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
  const { name, traffic = [], annotations = {} } = spec;
  const isTwice = traffic.length > 0 && annotations[TRAFFIC] !== undefined;
  return [
    ...(name === metadata.name ? [] : [`spec.name: "${name}" must be the name of the object, "${metadata.name}"`]),
    ...(traffic.length > 0 ? readTrafficBlock(name, traffic).problems : []),
    ...(isTwice ? [`spec.traffic: must not be there beside the annotation ${TRAFFIC}`] : []),
  ];
}

const ownsSpec = ({ fieldsV1, subresource }: V1ManagedFieldsEntry) =>
  !subresource && typeof fieldsV1 === "object" && "f:spec" in fieldsV1;
const timeOf = ({ time }: V1ManagedFieldsEntry) => new Date(time ?? 0).getTime();

/** Whether the newest writer of the definition is a provider; times are in seconds, so there may be several. */
export function isByProvider({ managedFields = [] }: V1ObjectMeta): boolean {
  const writers = managedFields.filter(ownsSpec);
  const newest = Math.max(...writers.map(timeOf));
  return writers.filter((entry) => timeOf(entry) === newest).every(({ manager }) => manager === FIELD_MANAGER);
}

/** Whether the objects of a Function were once as its present definition wants them. */
export function isSettledObject({ metadata, status }: Pick<FunctionObject, "metadata" | "status">): boolean {
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return status?.observedGeneration === metadata.generation && ready === "True";
}

/** The deploy that a Function asks for. */
export function functionToDeployment({ metadata, spec }: FunctionObject): ResolvedDeployment {
  const { name: service, image, environment = {}, labels, traffic } = spec;
  const split = trafficOf(service, traffic);
  const annotations = split === undefined ? spec.annotations : { ...spec.annotations, [TRAFFIC]: split };
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
