/** Part of an OpenAPI v3 schema, as a CustomResourceDefinition holds it. */
export type Schema = Readonly<Record<string, unknown>>;

/** A CustomResourceDefinition as it is sent; the client library's type renames fields of schemas. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: Schema;
}

export const textSchema = (description?: string): Schema => ({ type: "string", ...(description && { description }) });
export const integer: Schema = { type: "integer", format: "int32" };
export const texts: Schema = { type: "array", items: { type: "string" } };
export const textMap: Schema = { type: "object", additionalProperties: { type: "string" } };
/** Deep and Kubernetes' own: the API server checks it where it ends up, in the pod. */
export const foreign: Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
export const objectSchema = (properties: Schema, required?: readonly string[]): Schema => ({
  type: "object",
  ...(required && { required }),
  properties,
});

const condition = objectSchema(
  {
    type: textSchema(),
    status: { type: "string", enum: ["True", "False", "Unknown"] },
    reason: textSchema(),
    message: textSchema(),
    lastTransitionTime: { type: "string", format: "date-time" },
    observedGeneration: { type: "integer", format: "int64" },
  },
  ["type", "status", "reason", "message", "lastTransitionTime"],
);

/** `status.conditions`, as Kubernetes has them everywhere. */
export const conditions: Schema = {
  type: "array",
  items: condition,
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["type"],
};

export const envelope = { apiVersion: textSchema(), kind: textSchema(), metadata: { type: "object" } };

/** A kind of ours; `version` is what its one version has. */
export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly version: Schema;
}

export function buildCrd({ kind, plural, version }: Kind): CustomResourceDefinition {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    // Functions must outlive the release that installed their kind.
    metadata: { name: `${plural}.openfaas.com`, annotations: { "helm.sh/resource-policy": "keep" } },
    spec: {
      group: "openfaas.com",
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: [{ name: "v1", served: true, storage: true, ...version }],
    },
  };
}

/** For `kubectl get`: what a condition says. */
export const conditionColumn = (type: string) => ({
  name: type,
  type: "string",
  jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
});
