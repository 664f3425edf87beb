import { Problems } from "../problems.ts";
import type { Resource } from "../resources.ts";
import { labelSelectorOf } from "../selectors.ts";
import { type FieldProblem, invalid } from "../status.ts";
import { type Fields, isFields, type KubeObject, type StringMap } from "../types.ts";
import { validateAnnotations, validateLabels, validateMetadata } from "./metadata.ts";
import { dns1123Label } from "./names.ts";
import { validatePodSpec, validatePort } from "./pod-spec.ts";
import { validateShape } from "./shape.ts";

type Rule = (object: KubeObject, problems: Problems, previous: KubeObject | undefined) => void;

const SECRET_LIMIT_BYTES = 1024 * 1024;

const RULES: Readonly<Record<string, Rule>> = {
  pods: validatePod,
  services: validateService,
  secrets: validateSecret,
  configmaps: (object, problems) => validateKeys((object.data ?? {}) as StringMap, "data", problems),
  "deployments.apps": validateDeployment,
  "replicasets.apps": (object, problems, previous) => {
    validateWorkload(object, problems);
    validateSelectorKept(object, problems, previous);
  },
  "endpointslices.discovery.k8s.io": (object, problems, previous) => {
    if (previous !== undefined && previous.addressType !== object.addressType) {
      problems.invalid("addressType", object.addressType, "field is immutable");
    }
  },
  "leases.coordination.k8s.io": (object, problems) => {
    const spec = (object.spec ?? {}) as Fields;
    for (const field of ["leaseDurationSeconds"]) {
      const seconds = spec[field] as number | undefined;
      if (seconds !== undefined && seconds <= 0) problems.invalid(`spec.${field}`, seconds, "must be greater than 0");
    }
  },
  "customresourcedefinitions.apiextensions.k8s.io": (object, problems) => {
    const spec = (object.spec ?? {}) as Fields;
    const names = isFields(spec.names) ? spec.names : {};
    const expected = `${names.plural}.${spec.group}`;
    if (object.metadata.name !== expected) {
      problems.invalid("metadata.name", object.metadata.name, `must be spec.names.plural+"."+spec.group`);
    }
    const versions = (spec.versions ?? []) as readonly Fields[];
    if (versions.filter(({ storage }) => storage === true).length !== 1) {
      problems.invalid("spec.versions", versions.length, "must have exactly one version marked as storage version");
    }
    for (const [index, version] of versions.entries()) {
      if (!isFields(version.schema))
        problems.required(`spec.versions[${index}].schema.openAPIV3Schema`, "schemas are required");
    }
  },
};

/** @throws {ApiError} invalid, listing everything that is wrong */
export function validateObject(resource: Resource, object: KubeObject, previous?: KubeObject): void {
  const problems = new Problems();
  validateMetadata(resource, object.metadata, problems);
  validateShape(resource.type, object, "", problems);
  RULES[resource.key]?.(object, problems, previous);
  if (problems.list.length > 0) throw invalid(resource, object.metadata.name, withoutRepeats(problems.list));
}

function withoutRepeats(problems: readonly FieldProblem[]): FieldProblem[] {
  const seen = new Set<string>();
  return problems.filter(({ field, message }) => {
    const key = `${field} ${message}`;
    return !seen.has(key) && seen.add(key);
  });
}

function validatePod(object: KubeObject, problems: Problems, previous: KubeObject | undefined): void {
  validatePodSpec((object.spec ?? {}) as Fields, "spec", problems);
  if (previous !== undefined && fixedPodSpec(object) !== fixedPodSpec(previous)) {
    problems.forbidden(
      "spec",
      "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    );
  }
}

/** The part of a pod's spec that may not change, as text. */
function fixedPodSpec({ spec }: KubeObject): string {
  const { containers, tolerations: _t, activeDeadlineSeconds: _a, ...rest } = spec as Fields;
  const fixed = ((containers ?? []) as readonly Fields[]).map(({ image: _image, ...container }) => container);
  return stableJson({ ...rest, containers: fixed });
}

/** JSON with sorted keys, so that equal values give equal text. */
export function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    isFields(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}

function validateWorkload(object: KubeObject, problems: Problems): void {
  const spec = (object.spec ?? {}) as Fields;
  const replicas = spec.replicas as number;
  if (replicas < 0) problems.invalid("spec.replicas", replicas, "must be greater than or equal to 0");
  const template = (spec.template ?? {}) as Fields;
  const meta = (template.metadata ?? {}) as { labels?: StringMap; annotations?: StringMap };
  if (isFields(spec.selector)) {
    if (Object.keys(spec.selector).length === 0) {
      problems.invalid("spec.selector", spec.selector, `empty selector is invalid for ${object.kind.toLowerCase()}`);
    } else if (!labelSelectorOf(spec.selector)(meta.labels)) {
      problems.invalid(
        "spec.template.metadata.labels",
        meta.labels ?? null,
        "`selector` does not match template `labels`",
      );
    }
    validateLabels(spec.selector.matchLabels as StringMap | undefined, "spec.selector.matchLabels", problems);
  }
  validateLabels(meta.labels, "spec.template.labels", problems);
  validateAnnotations(meta.annotations, "spec.template.annotations", problems);
  const pod = (template.spec ?? {}) as Fields;
  validatePodSpec(pod, "spec.template.spec", problems);
  if (pod.restartPolicy !== "Always") {
    problems.unsupported("spec.template.spec.restartPolicy", pod.restartPolicy, ["Always"]);
  }
}

function validateSelectorKept(object: KubeObject, problems: Problems, previous: KubeObject | undefined): void {
  const selector = (object.spec as Fields | undefined)?.selector;
  if (previous !== undefined && stableJson((previous.spec as Fields).selector) !== stableJson(selector)) {
    problems.invalid("spec.selector", selector, "field is immutable");
  }
}

function validateDeployment(object: KubeObject, problems: Problems, previous: KubeObject | undefined): void {
  validateWorkload(object, problems);
  validateSelectorKept(object, problems, previous);
  const spec = (object.spec ?? {}) as Fields;
  const strategy = (spec.strategy ?? {}) as Fields;
  const rolling = strategy.rollingUpdate as Fields | undefined;
  if (strategy.type === "Recreate" && rolling !== undefined) {
    problems.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
  } else if (rolling !== undefined) {
    for (const field of ["maxSurge", "maxUnavailable"])
      validatePortion(rolling[field], `spec.strategy.rollingUpdate.${field}`, problems);
    if (isZero(rolling.maxSurge) && isZero(rolling.maxUnavailable)) {
      problems.invalid(
        "spec.strategy.rollingUpdate.maxUnavailable",
        rolling.maxUnavailable,
        "may not be 0 when `maxSurge` is 0",
      );
    }
  }
  const { minReadySeconds = 0, progressDeadlineSeconds = 600 } = spec as Record<string, number>;
  if (progressDeadlineSeconds <= minReadySeconds) {
    problems.invalid("spec.progressDeadlineSeconds", progressDeadlineSeconds, "must be greater than minReadySeconds");
  }
}

function isZero(portion: unknown): boolean {
  return portion === 0 || portion === "0%";
}

function validatePortion(portion: unknown, field: string, problems: Problems): void {
  if (typeof portion === "string" && !/^\d+%$/.test(portion)) {
    problems.invalid(
      field,
      portion,
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    );
  } else if (typeof portion === "number" && portion < 0) {
    problems.invalid(field, portion, "must be greater than or equal to 0");
  }
}

function validateService(object: KubeObject, problems: Problems, previous: KubeObject | undefined): void {
  const spec = (object.spec ?? {}) as Fields;
  const ports = (spec.ports ?? []) as readonly Fields[];
  if (ports.length === 0 && spec.clusterIP !== "None" && spec.type !== "ExternalName") problems.required("spec.ports");
  const names = new Set<unknown>();
  for (const [index, port] of ports.entries()) {
    validatePort(port.port, `spec.ports[${index}].port`, problems);
    validatePort(port.targetPort, `spec.ports[${index}].targetPort`, problems);
    if (port.name === undefined && ports.length > 1) problems.required(`spec.ports[${index}].name`);
    for (const why of port.name === undefined ? [] : dns1123Label(port.name as string)) {
      problems.invalid(`spec.ports[${index}].name`, port.name, why);
    }
    if (port.name !== undefined && names.has(port.name)) problems.duplicate(`spec.ports[${index}].name`, port.name);
    names.add(port.name);
  }
  validateLabels(spec.selector as StringMap | undefined, "spec.selector", problems);
  const before = (previous?.spec as Fields | undefined)?.clusterIP;
  if (before !== undefined && before !== spec.clusterIP) {
    problems.invalid(
      "spec.clusterIPs[0]",
      spec.clusterIP === undefined ? null : [spec.clusterIP],
      "may not change once set",
    );
  }
}

function validateKeys(data: StringMap, field: string, problems: Problems): void {
  for (const key of Object.keys(data)) {
    if (!/^[-._a-zA-Z0-9]+$/.test(key)) {
      problems.invalid(
        `${field}[${key}]`,
        key,
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or " +
          "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      );
    }
  }
}

function validateSecret(object: KubeObject, problems: Problems, previous: KubeObject | undefined): void {
  const data = (object.data ?? {}) as StringMap;
  validateKeys(data, "data", problems);
  const size = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, "base64"), 0);
  if (size > SECRET_LIMIT_BYTES) problems.tooLong("data", SECRET_LIMIT_BYTES);
  if (previous !== undefined && previous.type !== object.type) {
    problems.invalid("type", object.type, "field is immutable");
  }
  if (previous?.immutable === true && stableJson(previous.data) !== stableJson(object.data)) {
    problems.forbidden("data", "field is immutable when `immutable` is set");
  }
  const required = { "kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg" };
  const key = required[object.type as keyof typeof required];
  if (key === undefined) return;
  if (data[key] === undefined) {
    problems.required(`data[${key}]`);
    return;
  }
  try {
    JSON.parse(Buffer.from(data[key], "base64").toString("utf8"));
  } catch (error) {
    problems.invalid(`data[${key}]`, "<secret contents redacted>", (error as Error).message);
  }
}
