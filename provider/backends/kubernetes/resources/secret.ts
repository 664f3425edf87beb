import type { V1Secret } from "@kubernetes/client-node";
import { isDnsSubdomain } from "../../../../contract/names.ts";
import type { SecretName } from "../../../../contract/secrets.ts";
import { SECRET_LABELS } from "./names.ts";
import { PULL_TYPES } from "./secret-volumes.ts";

/** What Kubernetes takes for all of one Secret. */
const MAX_BYTES = 1024 * 1024;

/** Why `value` cannot be stored under this name, one line each; never shows the value. */
export function secretProblems({ name }: SecretName, value: Buffer): string[] {
  return [
    ...(isDnsSubdomain(name) ? [] : [`secret: name: (${name}) is invalid, must be a DNS subdomain`]),
    ...(value.length > MAX_BYTES ? [`secret: value: is larger than 1 MiB`] : []),
  ];
}

/** A secret with one file, named like it. */
export function buildSecret({ name, namespace }: SecretName, value: Buffer): V1Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, labels: { ...SECRET_LABELS } },
    type: "Opaque",
    data: { [name]: value.toString("base64") },
  };
}

/** Whether clients may see and change it: it was made through this API, or its creator marked it so. */
export function isManagedSecret({ metadata }: Pick<V1Secret, "metadata">): boolean {
  return Object.entries(SECRET_LABELS).every(([key, value]) => metadata?.labels?.[key] === value);
}

/**
 * Whether functions may name it: those that clients may see, and those for pulling images, which people make with
 * `kubectl create secret docker-registry`. Anything else in the namespace is as good as not there.
 */
export function isUsableSecret(secret: Pick<V1Secret, "metadata" | "type">): boolean {
  return isManagedSecret(secret) || PULL_TYPES.has(secret.type ?? "");
}
