import { VERSION_LABEL, VERSION_OF_LABEL } from "./names.ts";

/** Labels and annotations that have an effect on somebody else, and are therefore not for users of the API to set. */

/**
 * On the platform's own pods and Services, with what they are. Whatever the chart selects, it selects by this, and no
 * function carries it.
 */
export const COMPONENT_LABEL = "com.faaslane.component";

/** Kubernetes' own, below which each key means something to a part of the cluster. */
const KUBERNETES: readonly string[] = ["kubernetes.io", "k8s.io"];

/** Recommended for everybody's objects, and read by people. */
const FOR_ALL = "app.kubernetes.io";

/**
 * Domains whose keys on a namespace change what is admitted there, which project or cloud role it belongs to, or whose
 * pods are looked at.
 */
const NAMESPACE_DOMAINS: readonly string[] = [
  ...KUBERNETES,
  "openshift.io",
  "cattle.io",
  "gatekeeper.sh",
  "kyverno.io",
  "amazonaws.com",
];

/** Labels without a domain that controllers tell their pods by. */
const CONTROLLER_LABELS: ReadonlySet<string> = new Set([
  "pod-template-hash",
  "controller-revision-hash",
  "controller-uid",
  "job-name",
]);

/** By these the pods of versions are told apart from those of functions. */
const VERSION_LABELS: ReadonlySet<string> = new Set([VERSION_LABEL, VERSION_OF_LABEL]);

/** Annotations of pods and Services that weaken a sandbox, or have names made in DNS. */
const ANNOTATION_DOMAINS: readonly string[] = [
  "security.alpha.kubernetes.io",
  "security.beta.kubernetes.io",
  "external-dns.alpha.kubernetes.io",
];

function isIn(key: string, domains: readonly string[]): boolean {
  // Annotations may be written with capitals.
  const domain = key.slice(0, Math.max(key.indexOf("/"), 0)).toLowerCase();
  return domains.some((parent) => domain === parent || domain.endsWith(`.${parent}`));
}

/** Whether only the platform or the cluster gives pods this label. */
export function isReservedLabel(key: string): boolean {
  if (key === COMPONENT_LABEL || VERSION_LABELS.has(key) || CONTROLLER_LABELS.has(key)) return true;
  return isIn(key, KUBERNETES) && !isIn(key, [FOR_ALL]);
}

/** Whether an annotation on a function's objects would do more than to note something. */
export function isReservedAnnotation(key: string): boolean {
  return isIn(key, ANNOTATION_DOMAINS);
}

/** Whether a label or annotation of a namespace is for the cluster's administrators to set. */
export function isAdministrative(key: string): boolean {
  return isIn(key, NAMESPACE_DOMAINS);
}
