import type { Store } from "../store.ts";
import type { Fields, KubeObject, StringMap } from "../types.ts";
import type { Container, EnvVar, KeyToPath, Pod, Volume } from "../workloads.ts";
import { type ContainerSpec, type Mount, StartError } from "./runtime.ts";

/**
 * The container with its variables and files looked up.
 * @throws {StartError} when a secret or config map, or a key of it, is missing
 */
export function resolveContainer(store: Store, pod: Pod, container: Container, ip: string): ContainerSpec {
  const { name, image, command, args, ports = [] } = container;
  const variables = (container.env ?? []).flatMap((variable) => {
    const value = resolveVariable(store, pod, variable, ip);
    return value === undefined ? [] : [[variable.name, value] as const];
  });
  return {
    name,
    image,
    command: command === undefined ? undefined : [...command, ...(args ?? [])],
    env: Object.fromEntries(variables),
    mounts: resolveMounts(store, pod, container),
    ports: Object.fromEntries(ports.map((port) => [port.name ?? "", port.containerPort])),
    terminationMessagePath: container.terminationMessagePath,
  };
}

/** @throws {StartError} when what is mounted is missing */
export function resolveMounts(store: Store, pod: Pod, { volumeMounts = [] }: Container): Mount[] {
  const volumes = new Map((pod.spec.volumes ?? []).map((volume) => [volume.name, volume]));
  return volumeMounts.map(({ name, mountPath }) => {
    const volume = volumes.get(name);
    return { mountPath, files: volume === undefined ? undefined : filesOf(store, pod, volume) };
  });
}

function resolveVariable(store: Store, pod: Pod, { value, valueFrom, name }: EnvVar, ip: string): string | undefined {
  if (valueFrom === undefined) return value ?? "";
  const { fieldRef, secretKeyRef, configMapKeyRef } = valueFrom;
  if (fieldRef !== undefined) return fieldValue(pod, fieldRef.fieldPath, ip);
  const reference = secretKeyRef ?? configMapKeyRef;
  if (reference === undefined)
    throw new StartError("CreateContainerConfigError", `the source of ${name} is not supported`);
  const kind = secretKeyRef === undefined ? "configmap" : "secret";
  const object = store.get(`${kind}s`, { namespace: pod.metadata.namespace ?? "", name: reference.name });
  if (object === undefined) {
    if (reference.optional === true) return undefined;
    throw new StartError("CreateContainerConfigError", `${kind} "${reference.name}" not found`);
  }
  const content = contents(object).get(reference.key);
  if (content !== undefined) return content.toString("utf8");
  if (reference.optional === true) return undefined;
  const where = `${kind === "secret" ? "Secret" : "ConfigMap"} ${pod.metadata.namespace}/${reference.name}`;
  throw new StartError("CreateContainerConfigError", `couldn't find key ${reference.key} in ${where}`);
}

function fieldValue(pod: Pod, path: string, ip: string): string {
  const indexed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (indexed !== null) return pod.metadata[indexed[1] as "labels" | "annotations"]?.[indexed[2] as string] ?? "";
  const known: Readonly<Record<string, string | undefined>> = {
    "metadata.name": pod.metadata.name,
    "metadata.namespace": pod.metadata.namespace,
    "metadata.uid": pod.metadata.uid,
    "spec.nodeName": pod.spec.nodeName,
    "spec.serviceAccountName": pod.spec.serviceAccountName,
    "status.podIP": ip,
    "status.hostIP": "127.0.0.1",
  };
  return known[path] ?? "";
}

/** Undefined for a volume that begins empty. */
function filesOf(store: Store, pod: Pod, { secret, configMap, projected }: Volume): Map<string, Buffer> | undefined {
  const namespace = pod.metadata.namespace ?? "";
  const read = (kind: string, name: string, items: readonly KeyToPath[] | undefined, optional: boolean | undefined) =>
    project(store.get(kind, { namespace, name }), `${kind.slice(0, -1)} "${name}" not found`, items, optional === true);
  if (secret !== undefined) return new Map(read("secrets", secret.secretName, secret.items, secret.optional));
  if (configMap !== undefined) return new Map(read("configmaps", configMap.name, configMap.items, configMap.optional));
  if (projected === undefined) return undefined;
  const files = (projected.sources ?? []).flatMap((source) => [
    ...(source.secret === undefined
      ? []
      : read("secrets", source.secret.name, source.secret.items, source.secret.optional)),
    ...(source.configMap === undefined
      ? []
      : read("configmaps", source.configMap.name, source.configMap.items, source.configMap.optional)),
  ]);
  return new Map(files);
}

function project(
  object: KubeObject | undefined,
  missing: string,
  items: readonly KeyToPath[] | undefined,
  optional: boolean,
): [string, Buffer][] {
  if (object === undefined) {
    if (optional) return [];
    throw new StartError(undefined, `MountVolume.SetUp failed for volume: ${missing}`);
  }
  const data = contents(object);
  if (items === undefined) return [...data];
  return items.flatMap(({ key, path }) => {
    const content = data.get(key);
    if (content !== undefined) return [[path, content] as [string, Buffer]];
    if (optional) return [];
    throw new StartError(undefined, `MountVolume.SetUp failed for volume: references non-existent key: ${key}`);
  });
}

function contents(object: KubeObject): Map<string, Buffer> {
  const data = Object.entries((object.data ?? {}) as StringMap);
  const encoding = object.kind === "Secret" ? "base64" : "utf8";
  const binary = Object.entries(((object as Fields).binaryData ?? {}) as StringMap);
  return new Map([
    ...data.map(([key, value]) => [key, Buffer.from(value, encoding)] as const),
    ...binary.map(([key, value]) => [key, Buffer.from(value, "base64")] as const),
  ]);
}
