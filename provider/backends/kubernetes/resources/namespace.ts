import type { V1Namespace } from "@kubernetes/client-node";
import type { FunctionNamespace } from "../../../contract/namespaces.ts";
import { isLabelValue, isQualifiedName } from "./constraints.ts";
import { NAMESPACE_MARK, sortKeys } from "./names.ts";

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export function isNamespaceName(name: string): boolean {
  return NAME.test(name);
}

/** Set by Kubernetes and its clients, not by whoever made the namespace. */
const FOREIGN: ReadonlySet<string> = new Set([
  "kubernetes.io/metadata.name",
  "kubectl.kubernetes.io/last-applied-configuration",
]);

/** Rules that `namespace` breaks, one line each. */
export function namespaceProblems({ name, labels = {}, annotations = {} }: FunctionNamespace): string[] {
  return [
    ...(isNamespaceName(name) ? [] : [`namespace: name: (${name}) is invalid, must be a DNS label`]),
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
