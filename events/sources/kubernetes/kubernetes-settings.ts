import { z } from "zod";
import { atMost, maybe } from "../../../contract/decode.ts";
import { FaasError } from "../../../contract/errors.ts";
import { type SecretRef, secretRef } from "../../../contract/events/secret-ref.ts";
import { choice, lineOf, oneOrMore, serverUrl } from "../../../contract/events/server-settings.ts";
import { compileFilters, type Filter } from "../../filters/filter.ts";

const MAX_RESOURCES = 20;
const MAX_LABELS = 20;

const label = z.string().regex(/^[-._/a-zA-Z0-9]{1,317}$/, { error: "must be a label" });
const value = z.string().regex(/^[-._a-zA-Z0-9]{0,63}$/, { error: "must be a label's value" });
const selector = z.union(
  [
    lineOf("a label selector", 1_024),
    z.strictObject({
      matchLabels: maybe(atMost(MAX_LABELS, z.record(label, value))),
      matchExpressions: maybe(
        atMost(
          MAX_LABELS,
          z.array(
            z.strictObject({
              key: label,
              operator: choice("In", "NotIn", "Exists", "DoesNotExist"),
              values: maybe(atMost(MAX_LABELS, z.array(value))),
            }),
          ),
        ),
      ),
    }),
  ],
  { error: "must be a label selector: a text, or matchLabels and matchExpressions" },
);

const resource = z.strictObject({
  apiVersion: z
    .string({ error: "is required" })
    .regex(/^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?\/)?v[0-9][a-z0-9]*$/, { error: "must be such as v1 or apps/v1" }),
  kind: z.string({ error: "is required" }).regex(/^[A-Z][A-Za-z0-9]{0,62}$/, { error: "must be such as Pod" }),
  /** `*` for all; the source's own when absent. */
  namespace: maybe(
    z.string().regex(/^(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/, { error: "must be a namespace, or * for all" }),
  ),
  selector: maybe(selector),
});

const declared = z.strictObject({
  resources: oneOrMore(resource, MAX_RESOURCES),
  mode: maybe(choice("Reference", "Resource")),
  /** The service account of the pod that we are in when neither is there. */
  kubeconfig: maybe(secretRef),
  server: maybe(serverUrl("https", "http")),
  token: maybe(secretRef),
  ca: maybe(secretRef),
  filters: z.unknown().optional(),
  initial: maybe(choice("emit", "skip")),
  topic: maybe(lineOf("a topic")),
});

/** Objects of one kind. */
export interface WatchedResource {
  readonly apiVersion: string;
  readonly kind: string;
  /** `*` for all. */
  readonly namespace: string | undefined;
  /** As the API takes it. */
  readonly labelSelector: string | undefined;
}

/** How the cluster is reached; `inCluster`: as the service account of this pod. */
export type ClusterSettings =
  | { readonly kind: "kubeconfig"; readonly secret: SecretRef }
  | {
      readonly kind: "server";
      readonly url: string;
      readonly token: SecretRef | undefined;
      readonly ca: SecretRef | undefined;
    }
  | { readonly kind: "inCluster" };

export interface KubernetesSourceSettings {
  readonly resources: readonly WatchedResource[];
  readonly whole: boolean;
  readonly cluster: ClusterSettings;
  readonly filter: Filter | undefined;
  /** What is there at first is nothing new. */
  readonly skipFirst: boolean;
  readonly topic: string | undefined;
}

export const kubernetesSettings = declared.transform((given, context): KubernetesSourceSettings => {
  const { resources, mode, kubeconfig, server, token, ca, filters, initial, topic } = given;
  const refuse = (field: string, message: string) => {
    context.addIssue({ code: "custom", path: [field], message });
    return z.NEVER;
  };
  if (kubeconfig && server !== undefined) return refuse("kubeconfig", "and server: only one of them may be there");
  if (server === undefined && (token || ca)) return refuse("server", "is required with token and ca");
  let filter: Filter | undefined;
  try {
    if (filters !== undefined && filters !== null) filter = compileFilters(filters, "filters");
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    context.addIssue(error.message);
    return z.NEVER;
  }
  return {
    resources: resources.map(({ apiVersion, kind, namespace, selector }) => ({
      apiVersion,
      kind,
      namespace,
      labelSelector: selector === undefined ? undefined : writeSelector(selector),
    })),
    whole: mode === "Resource",
    cluster: kubeconfig
      ? { kind: "kubeconfig", secret: kubeconfig }
      : server !== undefined
        ? { kind: "server", url: server, token, ca }
        : { kind: "inCluster" },
    filter,
    skipFirst: initial === "skip",
    topic,
  };
});

function writeSelector(given: z.output<typeof selector>): string {
  if (typeof given === "string") return given;
  const equal = Object.entries(given.matchLabels ?? {}).map(([key, wanted]) => `${key}=${wanted}`);
  const others = (given.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === "Exists") return key;
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator === "In" ? "in" : "notin"} (${values.join(",")})`;
  });
  return [...equal, ...others].join(",");
}
