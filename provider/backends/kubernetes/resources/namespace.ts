import type { V1ManagedFieldsEntry, V1Namespace } from "@kubernetes/client-node";
import type { FunctionNamespace } from "../../../../contract/namespaces.ts";
import { isNamespaceName } from "../../../../contract/namespaces.ts";
import { isLabelValue, isQualifiedName } from "./constraints.ts";
import { FIELD_MANAGER, NAMESPACE_MARK, sortKeys } from "./names.ts";
import { isAdministrative } from "./reserved-keys.ts";

/** Set by Kubernetes and its clients, not by the creator of the namespace. */
const FOREIGN: ReadonlySet<string> = new Set([
  "kubernetes.io/metadata.name",
  "kubectl.kubernetes.io/last-applied-configuration",
]);

type Keys = "labels" | "annotations";
const MAPS = ["labels", "annotations"] as const satisfies readonly Keys[];

/**
 * Rules that `namespace` breaks, one line each.
 * @param before as it is; a client that reads it and writes it back keeps what administrators have set
 */
export function namespaceProblems(namespace: FunctionNamespace, before: Pick<FunctionNamespace, Keys> = {}): string[] {
  const { name, labels = {}, annotations = {} } = namespace;
  return [
    ...(isNamespaceName(name) ? [] : [`namespace: name: (${name}) is invalid, must be a DNS label`]),
    ...MAPS.flatMap((map) =>
      Object.entries(namespace[map] ?? {}).flatMap(([key, value]) =>
        isAdministrative(key) && before[map]?.[key] !== value
          ? [`namespace: ${map}: "${key}" is for the cluster's administrators to set`]
          : [],
      ),
    ),
    ...Object.entries(labels).flatMap(([key, value]) =>
      isQualifiedName(key) && isLabelValue(value) ? [] : [`namespace: labels: "${key}=${value}" is not a label`],
    ),
    ...Object.keys(annotations).flatMap((key) =>
      isQualifiedName(key) ? [] : [`namespace: annotations: "${key}" is not the name of an annotation`],
    ),
  ];
}

export function buildNamespace({ name, labels, annotations }: FunctionNamespace): V1Namespace {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name,
      labels: sortKeys({ ...labels, ...NAMESPACE_MARK }),
      annotations: sortKeys({ ...annotations, ...NAMESPACE_MARK }),
    },
  };
}

/** Keys that others than this API have set, as far as the API server knows who did. */
function keysOfOthers(map: Keys, owners: readonly V1ManagedFieldsEntry[]): ReadonlySet<string> {
  const others = new Set<string>();
  const own = new Set<string>();
  for (const { manager, fieldsV1 } of owners) {
    const { "f:metadata": metadata } = (fieldsV1 ?? {}) as Readonly<Record<string, Readonly<Record<string, object>>>>;
    for (const field of Object.keys(metadata?.[`f:${map}`] ?? {})) {
      (manager === FIELD_MANAGER ? own : others).add(field.replace(/^f:/, ""));
    }
  }
  for (const key of own) others.delete(key);
  return others;
}

/**
 * A merge patch that makes `wanted` of a namespace: what the request leaves out goes, unless administrators have set it.
 * `wanted` has been checked.
 */
export function planNamespaceUpdate(
  { metadata = {} }: Pick<V1Namespace, "metadata">,
  wanted: FunctionNamespace,
): { readonly metadata: Readonly<Record<Keys, Readonly<Record<string, string | null>>>> } {
  const before = readNamespace({ metadata });
  const after = buildNamespace(wanted).metadata ?? {};
  const replacing = (map: Keys) => {
    const others = keysOfOthers(map, metadata.managedFields ?? []);
    const isKept = (key: string) => key in (after[map] ?? {}) || isAdministrative(key) || others.has(key);
    const gone = Object.keys(before[map] ?? {}).filter((key) => !isKept(key));
    return { ...Object.fromEntries(gone.map((key) => [key, null])), ...after[map] };
  };
  return { metadata: { labels: replacing("labels"), annotations: replacing("annotations") } };
}

/** Whether functions may live in it: it carries the annotation, and is not on its way out. */
export function isFunctionNamespace({ metadata }: Pick<V1Namespace, "metadata">): boolean {
  return metadata?.annotations?.openfaas === NAMESPACE_MARK.openfaas && metadata.deletionTimestamp === undefined;
}

/** The namespace as clients see it. */
export function readNamespace({ metadata }: Pick<V1Namespace, "metadata">): FunctionNamespace {
  const own = (map: Readonly<Record<string, string>> = {}) =>
    sortKeys(Object.fromEntries(Object.entries(map).filter(([key]) => !FOREIGN.has(key))));
  return { name: metadata?.name ?? "", labels: own(metadata?.labels), annotations: own(metadata?.annotations) };
}
