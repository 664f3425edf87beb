import type { Problems } from "../problems.ts";
import type { Fields, StringMap } from "../types.ts";
import { validateLabels } from "./metadata.ts";
import { dns1123Label, dns1123Subdomain, qualifiedName } from "./names.ts";
import { quantityValue } from "./quantity.ts";

/** What a pod's spec must be like beyond its shape. It has its defaults already. */
export function validatePodSpec(spec: Fields, path: string, problems: Problems): void {
  const volumes = (spec.volumes ?? []) as readonly Fields[];
  for (const [index, volume] of volumes.entries()) validateVolume(volume, `${path}.volumes[${index}]`, problems);
  const names = new Set(volumes.map(({ name }) => name as string));
  const init = (spec.initContainers ?? []) as readonly Fields[];
  const containers = (spec.containers ?? []) as readonly Fields[];
  for (const [index, container] of init.entries()) {
    validateContainer(container, `${path}.initContainers[${index}]`, names, problems);
  }
  for (const [index, container] of containers.entries()) {
    validateContainer(container, `${path}.containers[${index}]`, names, problems);
  }
  const grace = spec.terminationGracePeriodSeconds as number;
  if (grace < 0) problems.invalid(`${path}.terminationGracePeriodSeconds`, grace, "must be non-negative");
  validateLabels(spec.nodeSelector as StringMap | undefined, `${path}.nodeSelector`, problems);
  const account = spec.serviceAccountName as string | undefined;
  for (const why of account === undefined ? [] : dns1123Subdomain(account)) {
    problems.invalid(`${path}.serviceAccountName`, account, why);
  }
  for (const [index, constraint] of ((spec.topologySpreadConstraints ?? []) as readonly Fields[]).entries()) {
    const skew = constraint.maxSkew as number;
    if (skew <= 0)
      problems.invalid(`${path}.topologySpreadConstraints[${index}].maxSkew`, skew, "must be greater than zero");
  }
  validatePodSecurity((spec.securityContext ?? {}) as Fields, `${path}.securityContext`, problems);
}

function validatePodSecurity(context: Fields, path: string, problems: Problems): void {
  for (const field of ["runAsUser", "runAsGroup", "fsGroup"]) {
    const id = context[field] as number | undefined;
    if (id !== undefined && (id < 0 || id > 2 ** 31 - 1)) {
      problems.invalid(`${path}.${field}`, id, "must be between 0 and 2147483647, inclusive");
    }
  }
}

function validateVolume(volume: Fields, path: string, problems: Problems): void {
  const name = (volume.name ?? "") as string;
  for (const why of name === "" ? [] : dns1123Label(name)) problems.invalid(`${path}.name`, name, why);
  const sources = Object.keys(volume).filter((field) => field !== "name");
  if (sources.length === 0) problems.required(path, "must specify a volume type");
  for (const extra of sources.slice(1))
    problems.forbidden(`${path}.${extra}`, "may not specify more than 1 volume type");
}

function validateContainer(container: Fields, path: string, volumes: ReadonlySet<string>, problems: Problems): void {
  const name = (container.name ?? "") as string;
  for (const why of name === "" ? [] : dns1123Label(name)) problems.invalid(`${path}.name`, name, why);
  const image = container.image as string | undefined;
  if (image === undefined) problems.required(`${path}.image`);
  else if (image.trim() !== image)
    problems.invalid(`${path}.image`, image, "must not have leading or trailing whitespace");
  validateEnv((container.env ?? []) as readonly Fields[], `${path}.env`, problems);
  validatePorts((container.ports ?? []) as readonly Fields[], `${path}.ports`, problems);
  validateMounts((container.volumeMounts ?? []) as readonly Fields[], `${path}.volumeMounts`, volumes, problems);
  validateResources((container.resources ?? {}) as Fields, `${path}.resources`, problems);
  for (const field of ["livenessProbe", "readinessProbe", "startupProbe"]) {
    if (container[field] !== undefined) validateProbe(container[field] as Fields, field, `${path}.${field}`, problems);
  }
  validatePodSecurity((container.securityContext ?? {}) as Fields, `${path}.securityContext`, problems);
}

function validateEnv(env: readonly Fields[], path: string, problems: Problems): void {
  for (const [index, { name, value, valueFrom }] of env.entries()) {
    if (name !== undefined && !/^[ -<>-~]+$/.test(name as string)) {
      const why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
      problems.invalid(`${path}[${index}].name`, name, why);
    }
    if (value !== undefined && valueFrom !== undefined) {
      problems.invalid(`${path}[${index}].valueFrom`, "", "may not be specified when `value` is not empty");
    }
  }
}

function validatePorts(ports: readonly Fields[], path: string, problems: Problems): void {
  const names = new Set<unknown>();
  for (const [index, { name, containerPort }] of ports.entries()) {
    validatePort(containerPort, `${path}[${index}].containerPort`, problems);
    if (name === undefined) continue;
    if (!/^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/.test(name as string)) {
      problems.invalid(
        `${path}[${index}].name`,
        name,
        "must be no more than 15 characters of lower case, digits and single '-'",
      );
    }
    if (names.has(name)) problems.duplicate(`${path}[${index}].name`, name);
    names.add(name);
  }
}

export function validatePort(port: unknown, path: string, problems: Problems): void {
  if (typeof port === "number" && (port < 1 || port > 65535)) {
    problems.invalid(path, port, "must be between 1 and 65535, inclusive");
  }
}

function validateMounts(
  mounts: readonly Fields[],
  path: string,
  volumes: ReadonlySet<string>,
  problems: Problems,
): void {
  for (const [index, { name }] of mounts.entries()) {
    if (name !== undefined && !volumes.has(name as string)) problems.missing(`${path}[${index}].name`, name);
  }
}

function validateResources(resources: Fields, path: string, problems: Problems): void {
  const limits = (resources.limits ?? {}) as StringMap;
  for (const kind of ["limits", "requests"] as const) {
    for (const [name, amount] of Object.entries((resources[kind] ?? {}) as StringMap)) {
      const field = `${path}.${kind}[${name}]`;
      for (const why of qualifiedName(name)) problems.invalid(field, name, why);
      if (!name.includes("/") && !/^(cpu|memory|ephemeral-storage|hugepages-.*)$/.test(name)) {
        problems.invalid(field, name, "must be a standard resource type or fully qualified");
      }
      if (quantityValue(amount) < 0) problems.invalid(field, amount, "must be greater than or equal to 0");
      const limit = limits[name];
      if (kind === "requests" && limit !== undefined && quantityValue(amount) > quantityValue(limit)) {
        problems.invalid(`${path}.requests`, amount, `must be less than or equal to ${name} limit of ${limit}`);
      }
    }
  }
}

const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc"];

function validateProbe(probe: Fields, kind: string, path: string, problems: Problems): void {
  const handlers = HANDLERS.filter((name) => probe[name] !== undefined);
  if (handlers.length === 0) problems.required(path, "must specify a handler type");
  for (const extra of handlers.slice(1))
    problems.forbidden(`${path}.${extra}`, "may not specify more than 1 handler type");
  for (const field of [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ]) {
    const seconds = (probe[field] ?? 0) as number;
    if (seconds < 0) problems.invalid(`${path}.${field}`, seconds, "must be greater than or equal to 0");
  }
  if (kind !== "readinessProbe" && probe.successThreshold !== 1) {
    problems.invalid(`${path}.successThreshold`, probe.successThreshold, "must be 1");
  }
  const http = probe.httpGet as Fields | undefined;
  if (http !== undefined) validatePort(http.port, `${path}.httpGet.port`, problems);
}
