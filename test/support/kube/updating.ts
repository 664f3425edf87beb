import { type DefaultsContext, withDefaults } from "./defaults.ts";
import { groupVersion, type Resource } from "./resources.ts";
import type { Fields, KubeObject, ObjectMeta } from "./types.ts";
import { stableJson } from "./validation/kinds.ts";

/**
 * What an object is after an update: the server's own fields stay, and status or the rest, whichever is not written.
 * @param given what the client wants
 * @param isStatus whether the status subresource is written
 */
export function afterUpdate(
  resource: Resource,
  live: KubeObject,
  given: KubeObject,
  isStatus: boolean,
  defaults: DefaultsContext,
): KubeObject {
  const { uid, creationTimestamp, generation, generateName, deletionTimestamp, deletionGracePeriodSeconds } =
    live.metadata;
  const system = { uid, creationTimestamp, generation, generateName, deletionTimestamp, deletionGracePeriodSeconds };
  const kept = Object.fromEntries(Object.entries(system).filter(([, value]) => value !== undefined));
  const {
    generation: _g,
    generateName: _n,
    deletionTimestamp: _d,
    deletionGracePeriodSeconds: _s,
    ...settable
  } = given.metadata;
  if (isStatus) return { ...inVersion(resource, live), ...("status" in given && { status: given.status }) };
  const { status: _ignored, ...rest } = given;
  const metadata = {
    ...settable,
    ...kept,
    name: live.metadata.name,
    resourceVersion: live.metadata.resourceVersion,
  } as ObjectMeta;
  const content = resource.hasStatus ? { ...rest, ...("status" in live && { status: live.status }) } : given;
  const allocated = withAllocated(resource, { ...content, metadata } as KubeObject, live);
  const next = withDefaults(resource, allocated, defaults);
  const changed = resource.hasGeneration && contentOf(next) !== contentOf(live);
  return changed ? { ...next, metadata: { ...next.metadata, generation: (generation ?? 0) + 1 } } : next;
}

/** A change of this is a new generation. */
function contentOf({ metadata: _metadata, status: _status, apiVersion: _version, ...content }: KubeObject): string {
  return stableJson(content);
}

/** What the server has chosen stays chosen for those who do not mention it. */
function withAllocated(resource: Resource, next: KubeObject, live: KubeObject): KubeObject {
  if (resource.key !== "services" && resource.key !== "secrets") return next;
  if (resource.key === "secrets") return next.type === undefined ? { ...next, type: live.type } : next;
  const before = live.spec as Fields;
  const spec = next.spec as Fields;
  if (spec?.clusterIP !== undefined || before.clusterIP === undefined || spec?.type === "ExternalName") return next;
  return { ...next, spec: { ...spec, clusterIP: before.clusterIP } };
}

/** Versions of a custom resource share what is stored; nothing is converted but the name. */
export function inVersion(resource: Resource, object: KubeObject): KubeObject {
  const apiVersion = groupVersion(resource);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}
