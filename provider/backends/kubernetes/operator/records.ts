import type { V1ObjectMeta } from "@kubernetes/client-node";
import {
  type FunctionObject,
  type FunctionObjectStatus,
  isByProvider,
  isSettledObject,
} from "../resources/function-object.ts";
import { hashOf } from "../resources/hash.ts";
import { FIELD_MANAGER } from "../resources/names.ts";
import { type Profile, profileNames } from "../resources/profile.ts";

/** What is kept of an object's metadata. */
export interface RecordMetadata {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** What is kept of a Function. Its definition is read when it is needed. */
export interface WatchedFunctionResource {
  readonly metadata: RecordMetadata;
  readonly generation: number;
  readonly leaving: boolean;
  /** Names of the profiles that it wants. */
  readonly profiles: readonly string[];
  /** Its definition was written by a provider, which applies it as well. */
  readonly deployed: boolean;
  /** Somebody else has written it, and nobody has acted on that yet. */
  readonly fresh: boolean;
  readonly status?: FunctionObjectStatus;
}

/** What is kept of a Deployment, a Service or a Profile. */
export interface ObjectRecord {
  readonly metadata: RecordMetadata;
  /** Changes when what we set of it does; of a Profile, when anything does. */
  readonly fingerprint: string;
}

export interface ProfileRecord extends ObjectRecord {
  readonly generation: number;
}

interface Annotated {
  readonly metadata?: V1ObjectMeta;
}

function trimMetadata({ name, namespace, uid, resourceVersion }: V1ObjectMeta): RecordMetadata {
  return {
    ...(name !== undefined && { name }),
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

export function recordFunction({ metadata, spec, status }: FunctionObject): WatchedFunctionResource {
  return {
    metadata: trimMetadata(metadata),
    generation: metadata.generation ?? 0,
    leaving: metadata.deletionTimestamp !== undefined,
    // The objects of bookmarks have no spec.
    profiles: profileNames(spec?.annotations),
    deployed: isByProvider(metadata),
    fresh: !isByProvider(metadata) && !isSettledObject({ metadata, ...(status && { status }) }),
    ...(status && { status }),
  };
}

/**
 * By which fields are ours: a client that writes another value into one, or removes it, takes it away from us.
 * What others set besides is none of our business and does not count.
 */
export function recordObject({ metadata = {} }: Annotated): ObjectRecord {
  const ours = (metadata.managedFields ?? []).filter(
    ({ manager, operation, subresource }) => manager === FIELD_MANAGER && operation === "Apply" && !subresource,
  );
  // The time is that of our own last change.
  const fields = ours.map(({ fieldsV1, time }) => [time, withoutReplicas(fieldsV1 ?? {})]);
  return { metadata: trimMetadata(metadata), fingerprint: `${metadata.uid}:${hashOf(fields)}` };
}

/** Scaling takes the number of replicas from us, as it should. */
function withoutReplicas(fields: Readonly<Record<string, unknown>>): unknown {
  const { "f:spec": spec, ...rest } = fields;
  if (typeof spec !== "object" || spec === null) return fields;
  const { "f:replicas": _, ...others } = spec as Readonly<Record<string, unknown>>;
  return { ...rest, "f:spec": others };
}

export function recordProfile({ metadata = {} }: Profile): ProfileRecord {
  return {
    metadata: trimMetadata(metadata),
    fingerprint: profileFingerprint(metadata),
    generation: metadata.generation ?? 0,
  };
}

export function profileFingerprint({ uid, generation = 0 }: V1ObjectMeta): string {
  return `${uid}:${generation}`;
}
