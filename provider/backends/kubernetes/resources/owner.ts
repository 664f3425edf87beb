import type { V1OwnerReference } from "@kubernetes/client-node";

interface Owner {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly uid?: string };
}

/** What makes an object go when `owner` goes; undefined for an owner that the API server has not seen yet. */
export function ownerReference(owner: Owner): V1OwnerReference | undefined {
  const { apiVersion, kind, metadata: { name, uid } = {} } = owner;
  if (!apiVersion || !kind || !name || !uid) return undefined;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}
