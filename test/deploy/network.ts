import { isDeepStrictEqual } from "node:util";
import type { KubernetesObject } from "../../deploy/render/render-chart.ts";
import { labelSelectorOf } from "../support/kube/selectors.ts";

/** What a NetworkPolicy knows of somebody. */
export interface Peer {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

interface Rule {
  readonly from?: readonly PolicyPeer[];
  readonly to?: readonly PolicyPeer[];
  readonly ports?: readonly { readonly protocol: string; readonly port: number }[];
}

interface PolicyPeer {
  readonly podSelector?: object;
  readonly namespaceSelector?: object;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

interface Policy {
  readonly podSelector: object;
  readonly policyTypes: readonly ("Ingress" | "Egress")[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

const namespaceLabels = (name: string) => ({ "kubernetes.io/metadata.name": name });

/** Addresses are not looked at: pods' own do not count as such everywhere. */
function matches(given: PolicyPeer, home: string, peer: Peer): boolean {
  if (given.ipBlock) return false;
  const inNamespace = given.namespaceSelector
    ? labelSelectorOf(given.namespaceSelector)(namespaceLabels(peer.namespace))
    : peer.namespace === home;
  return inNamespace && (!given.podSelector || labelSelectorOf(given.podSelector)(peer.labels));
}

function lets(rules: readonly Rule[] = [], home: string, peer: Peer, port: number): boolean {
  return rules.some(({ from, to, ports }) => {
    const peers = from ?? to;
    const isPort = !ports || ports.some((one) => one.protocol === "TCP" && one.port === port);
    return isPort && (!peers || peers.some((one) => matches(one, home, peer)));
  });
}

/** Whether the policies among `objects` let `from` reach a port of `to`, as Kubernetes goes by them. */
export function mayReach(objects: readonly KubernetesObject[], from: Peer, to: Peer, port: number): boolean {
  const policies = objects.filter(({ kind }) => kind === "NetworkPolicy");
  const allowed = (self: Peer, other: Peer, type: "Ingress" | "Egress") => {
    const about = policies.filter(({ metadata, spec }) => {
      const { podSelector, policyTypes } = spec as Policy;
      return (
        metadata.namespace === self.namespace && labelSelectorOf(podSelector)(self.labels) && policyTypes.includes(type)
      );
    });
    if (about.length === 0) return true;
    return about.some(({ metadata, spec }) => {
      const { ingress, egress } = spec as Policy;
      return lets(type === "Ingress" ? ingress : egress, metadata.namespace ?? "", other, port);
    });
  };
  return allowed(to, from, "Ingress") && allowed(from, to, "Egress");
}

/** A pod of a workload that the chart makes. */
export function podOf(objects: readonly KubernetesObject[], name: string): Peer {
  const found = objects.find(
    ({ kind, metadata }) => (kind === "Deployment" || kind === "StatefulSet") && metadata.name === name,
  );
  if (!found) throw new Error(`there is no workload ${name}`);
  const { template } = found.spec as { template: { metadata: { labels: Record<string, string> } } };
  return { namespace: found.metadata.namespace ?? "", labels: template.metadata.labels };
}

/** Every label selector in `value`, wherever it is, with the field that it is in. */
export function selectorsIn(value: unknown, field = ""): { readonly field: string; readonly selector: object }[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((one) => selectorsIn(one, field));
  const found = Object.entries(value).flatMap(([name, inner]) => selectorsIn(inner, `${field}.${name}`));
  // A Service has the labels alone.
  const plain = /\.spec\.selector$/.test(field) && !("matchLabels" in value) && !("matchExpressions" in value);
  if (plain) return [{ field, selector: { matchLabels: value } }];
  const isSelector = "matchLabels" in value || "matchExpressions" in value || isDeepStrictEqual(value, {});
  return isSelector && /[sS]elector$/.test(field) ? [{ field, selector: value }, ...found] : found;
}
