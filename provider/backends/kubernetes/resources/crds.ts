import {
  buildCrd,
  type CustomResourceDefinition,
  conditionColumn,
  conditions,
  envelope,
  foreign,
  integer,
  objectSchema as object,
  type Schema,
  textSchema as text,
  textMap,
  texts,
} from "./crd-schema.ts";
import { buildEventKinds } from "./event-crds.ts";

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

const functionStatus = object({
  conditions,
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

/**
 * Function, Profile and FunctionIngress, as OpenFaaS defines them, so that its objects can be applied as they are; and the kinds
 * that declare events.
 */
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
    ...buildEventKinds().map(buildCrd),
  ];
}
