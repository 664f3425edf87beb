import type { Api } from "./api.ts";
import type { Resource } from "./resources.ts";
import { conflict } from "./status.ts";
import { objectKey } from "./store.ts";
import { type Fields, type KubeObject, type ObjectKey, type ObjectMeta, timestamp } from "./types.ts";

export interface DeleteOptions {
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly gracePeriodSeconds: number | undefined;
  readonly propagation: "Background" | "Foreground" | "Orphan";
  readonly dryRun: boolean;
}

/**
 * Deletes an object, or marks it as being deleted where something has to happen first: a pod's grace period, a
 * namespace's contents, finalizers.
 * @throws {ApiError} not found; conflict for a failed precondition
 */
export function deleteObject(
  api: Api,
  resource: Resource,
  key: ObjectKey,
  options: DeleteOptions,
): { object: KubeObject; gone: boolean } {
  const live = api.get(resource, key);
  checkPreconditions(resource, live, options);
  if (options.dryRun) return { object: live, gone: true };
  const finalizers = new Set(live.metadata.finalizers ?? []);
  if (options.propagation === "Foreground") finalizers.add("foregroundDeletion");
  if (options.propagation === "Orphan") orphanDependents(api, live);
  const graceSeconds = resource.key === "pods" ? podGrace(live, options.gracePeriodSeconds) : 0;
  if (finalizers.size === 0 && graceSeconds === 0 && resource.key !== "namespaces") {
    return { object: api.store.remove(resource.key, key) as KubeObject, gone: true };
  }
  const marked = mark(live, [...finalizers], graceSeconds, Date.parse(api.now()), resource);
  return { object: marked === live ? live : api.store.put(resource.key, marked), gone: false };
}

function checkPreconditions(
  resource: Resource,
  { metadata }: KubeObject,
  { uid, resourceVersion }: DeleteOptions,
): void {
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
    throw conflict(resource, metadata.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`;
    throw conflict(resource, metadata.name, why);
  }
}

/** A pod that no node has got, or that has ended, has nothing to finish. */
function podGrace({ spec, status, metadata }: KubeObject, asked: number | undefined): number {
  const { nodeName, terminationGracePeriodSeconds = 30 } = spec as {
    nodeName?: string;
    terminationGracePeriodSeconds?: number;
  };
  const { phase } = (status ?? {}) as { phase?: string };
  if (nodeName === undefined) return 0;
  if (metadata.deletionTimestamp === undefined && (phase === "Failed" || phase === "Succeeded")) return 0;
  return asked ?? terminationGracePeriodSeconds;
}

function mark(
  live: KubeObject,
  finalizers: string[],
  graceSeconds: number,
  nowMs: number,
  resource: Resource,
): KubeObject {
  const { metadata } = live;
  const before = metadata.deletionGracePeriodSeconds;
  if (
    metadata.deletionTimestamp !== undefined &&
    (before === undefined || before <= graceSeconds) &&
    finalizers.length === (metadata.finalizers ?? []).length
  ) {
    return live;
  }
  const marked: ObjectMeta = {
    ...metadata,
    deletionTimestamp: timestamp(nowMs + graceSeconds * 1000),
    deletionGracePeriodSeconds: graceSeconds,
    ...(metadata.generation !== undefined && { generation: metadata.generation + 1 }),
    ...(finalizers.length !== 0 && { finalizers }),
  };
  if (resource.key !== "namespaces") return { ...live, metadata: marked };
  const { deletionGracePeriodSeconds: _none, ...plain } = marked;
  return { ...live, metadata: plain, status: { ...(live.status as Fields), phase: "Terminating" } };
}

function orphanDependents(api: Api, { metadata }: KubeObject): void {
  for (const { resource, object } of api.store.dependents(metadata.uid)) {
    const owners = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== metadata.uid);
    const { ownerReferences: _removed, ...rest } = object.metadata;
    api.store.put(resource, { ...object, metadata: owners.length === 0 ? rest : { ...rest, ownerReferences: owners } });
  }
}

/** Takes a finalizer away, and with the last one of an object that is being deleted the object. */
export function removeFinalizer(api: Api, resource: Resource, object: KubeObject, finalizer: string): void {
  const left = (object.metadata.finalizers ?? []).filter((name) => name !== finalizer);
  if (left.length === 0 && object.metadata.deletionTimestamp !== undefined) {
    api.store.remove(resource.key, objectKey(object));
    return;
  }
  const { finalizers: _removed, ...rest } = object.metadata;
  api.store.put(resource.key, { ...object, metadata: left.length === 0 ? rest : { ...rest, finalizers: left } });
}
