import type { V1Deployment, V1OwnerReference } from "@kubernetes/client-node";
import { FUNCTION_API } from "./function-object.ts";

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

/**
 * What the versions of a function go with: its Function object, or its Deployment where there is none. Neither controls them,
 * nor waits for them to go, which would ask for a permission of its own.
 * @param main the Deployment of the function itself
 */
export function versionOwner({ metadata = {} }: V1Deployment): V1OwnerReference | undefined {
  const object = metadata.ownerReferences?.find(
    ({ apiVersion, kind }) => apiVersion === FUNCTION_API && kind === "Function",
  );
  if (object) return { apiVersion: FUNCTION_API, kind: "Function", name: object.name, uid: object.uid };
  const { name, uid } = metadata;
  return name && uid ? { apiVersion: "apps/v1", kind: "Deployment", name, uid } : undefined;
}
