/** Part of an OpenAPI v3 schema, as a CustomResourceDefinition holds it. */
type Schema = Readonly<Record<string, unknown>>;

/** A CustomResourceDefinition as it is sent; the client library's type renames fields of schemas. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: Schema;
}

const text = (description?: string): Schema => ({ type: "string", ...(description && { description }) });
const integer: Schema = { type: "integer", format: "int32" };
const texts: Schema = { type: "array", items: { type: "string" } };
const textMap: Schema = { type: "object", additionalProperties: { type: "string" } };
/** Deep and Kubernetes' own: the API server checks it where it ends up, in the pod. */
const foreign: Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const object = (properties: Schema, required?: readonly string[]): Schema => ({
  type: "object",
  ...(required && { required }),
  properties,
});

const resources = object({ cpu: text(), memory: text() });
const quantities: Schema = {
  type: "object",
  additionalProperties: {
    anyOf: [{ type: "integer" }, { type: "string" }],
    "x-kubernetes-int-or-string": true,
  },
};

const functionSpec = object(
  {
    name: text("Name of the function; has to be the object's own."),
    image: text(),
    handler: text("Not used."),
    annotations: textMap,
    labels: textMap,
    environment: { ...textMap, description: "Variables; `fprocess` is the command of the function." },
    constraints: { ...texts, description: "Labels a node has to have, such as kubernetes.io/arch=arm64." },
    secrets: { ...texts, description: "Secrets of the same namespace: files, or credentials for pulling the image." },
    limits: resources,
    requests: resources,
    readOnlyRootFilesystem: { type: "boolean" },
    traffic: {
      type: "array",
      description: "Which versions get calls, in Knative's fields; the percentages add up to 100.",
      items: object({
        revisionName: text("A version such as v3."),
        latestRevision: { type: "boolean", description: "The newest version; what is meant without revisionName." },
        percent: { type: "number", minimum: 0, maximum: 100, description: "With at most two decimals." },
        tag: text("A name by which callers reach the version."),
      }),
    },
  },
  ["name", "image"],
);

const condition = object(
  {
    type: text(),
    status: { type: "string", enum: ["True", "False", "Unknown"] },
    reason: text(),
    message: text(),
    lastTransitionTime: { type: "string", format: "date-time" },
    observedGeneration: { type: "integer", format: "int64" },
  },
  ["type", "status", "reason", "message", "lastTransitionTime"],
);

const functionStatus = object({
  conditions: {
    type: "array",
    items: condition,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
  },
  replicas: integer,
  availableReplicas: integer,
  unavailableReplicas: integer,
  observedGeneration: { type: "integer", format: "int64" },
  profiles: {
    type: "array",
    items: object({
      profileRef: object({ name: text(), namespace: text() }, ["name", "namespace"]),
      observedGeneration: { type: "integer", format: "int64" },
    }),
  },
  traffic: {
    type: "array",
    items: object(
      { revisionName: text(), latestRevision: { type: "boolean" }, percent: { type: "number" }, tag: text() },
      ["revisionName", "latestRevision", "percent"],
    ),
  },
  versions: {
    type: "array",
    items: object({ name: text(), image: text(), digest: text(), replicas: integer, availableReplicas: integer }, [
      "name",
      "image",
      "replicas",
      "availableReplicas",
    ]),
  },
});

const profileSpec = object({
  tolerations: {
    type: "array",
    items: object({
      key: text(),
      operator: text(),
      value: text(),
      effect: text(),
      tolerationSeconds: { type: "integer", format: "int64" },
    }),
  },
  affinity: foreign,
  topologySpreadConstraints: { type: "array", items: foreign },
  runtimeClassName: text(),
  priorityClassName: text(),
  podSecurityContext: foreign,
  dnsPolicy: text(),
  dnsConfig: foreign,
  resources: object({ limits: quantities, requests: quantities }),
  strategy: object({ type: { type: "string", enum: ["Recreate"] } }),
});

/** As OpenFaaS's ingress-operator takes it. */
const functionIngressSpec = object(
  {
    domain: text("Host; `*.` and one for all below it."),
    function: text("A function, or NAME.NAMESPACE."),
    path: text("All below it leads to the function, which sees what follows it."),
    ingressType: text("Not used."),
    bypassGateway: { type: "boolean", description: "Not used." },
    tls: object({ enabled: { type: "boolean" }, issuerRef: object({ name: text(), kind: text() }, ["name"]) }),
  },
  ["domain", "function"],
);

const envelope = { apiVersion: text(), kind: text(), metadata: { type: "object" } };

interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly version: Schema;
}

function buildCrd({ kind, plural, version }: Kind): CustomResourceDefinition {
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

const conditionColumn = (type: string) => ({
  name: type,
  type: "string",
  jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
});

/** Function, Profile and FunctionIngress, as OpenFaaS defines them, so that its objects can be applied as they are. */
export function buildCrds(): CustomResourceDefinition[] {
  return [
    buildCrd({
      kind: "Function",
      plural: "functions",
      version: {
        additionalPrinterColumns: [
          { name: "Image", type: "string", jsonPath: ".spec.image" },
          conditionColumn("Ready"),
          conditionColumn("Healthy"),
          { name: "Replicas", type: "integer", jsonPath: ".status.replicas" },
          { name: "Available", type: "integer", jsonPath: ".status.availableReplicas" },
          { name: "Unavailable", type: "integer", jsonPath: ".status.unavailableReplicas" },
        ],
        schema: {
          openAPIV3Schema: object({ ...envelope, spec: functionSpec, status: functionStatus }, ["spec"]),
        },
        subresources: { status: {} },
      },
    }),
    buildCrd({
      kind: "Profile",
      plural: "profiles",
      version: { schema: { openAPIV3Schema: object({ ...envelope, spec: profileSpec }, ["spec"]) } },
    }),
    buildCrd({
      kind: "FunctionIngress",
      plural: "functioningresses",
      version: {
        additionalPrinterColumns: [
          { name: "Domain", type: "string", jsonPath: ".spec.domain" },
          { name: "Function", type: "string", jsonPath: ".spec.function" },
        ],
        schema: { openAPIV3Schema: object({ ...envelope, spec: functionIngressSpec }, ["spec"]) },
      },
    }),
  ];
}
