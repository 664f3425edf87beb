import { ROUTES } from "../../../../contract/routes/route.ts";
import {
  ROLLBACK_WINDOW,
  SECRETS_TRACK,
  VERSION_KEEP,
  VERSION_NAME,
} from "../../../../contract/versions/function-versions.ts";
import { MIRROR } from "../../../../contract/versions/mirror.ts";
import { ROLLOUT } from "../../../../contract/versions/rollout-settings.ts";
import { STICKY } from "../../../../contract/versions/sticky.ts";
import { TRAFFIC } from "../../../../contract/versions/traffic.ts";
import { parseVersionedName } from "../../../../contract/versions/version-name.ts";

/** Names that the objects carry and by which they are found again. */

/** On every Deployment, Service and pod of a function, with its name; also what selects its pods. As in OpenFaaS. */
export const FUNCTION_LABEL = "faas_function";

/** On the objects and pods of a version that serves beside the function's main one, and on what is kept about a function's versions. */
export const VERSION_OF_LABEL = "com.faaslane.function";
/** On Deployments and pods of such a version, as `v3`; they are no functions of their own, so the Deployment has no {@link FUNCTION_LABEL}. */
export const VERSION_LABEL = "com.faaslane.version";

/** Whose fields of an object are ours in a server-side apply. */
export const FIELD_MANAGER = "faaslane";

export const MANAGED_BY = "app.kubernetes.io/managed-by";
/** Secrets that carry it are listed and may be changed; the value is OpenFaaS's, so both see each other's. */
export const SECRET_LABELS = { [MANAGED_BY]: "openfaas" } as const;
/** Selects the secrets that the API shows. */
export const SECRET_SELECTOR = `${MANAGED_BY}=openfaas`;

/** Namespaces that carry it are shown to clients and may be deployed to. */
export const NAMESPACE_MARK = { openfaas: "1" } as const;

export const ANNOTATIONS = {
  scrape: "prometheus.io.scrape",
  profile: "com.openfaas.profile",
  serviceAccount: "com.openfaas.serviceaccount",
  /** What the object was made from, so that an update can tell that nothing changed. */
  hash: "com.faaslane.hash",
  /** On the pod template: which versions of its secrets the function was deployed with. */
  secrets: "com.faaslane.secrets",
  /** On the pod template: sets a deploy apart from an earlier one that looks the same. */
  redeploy: "com.faaslane.redeploy",
  /** On the Deployment: the version that it runs, and of what it was deployed with what cannot be read from it. */
  given: "com.faaslane.deployed",
} as const;

/** Annotations that clients never see. */
export const HIDDEN_ANNOTATIONS: ReadonlySet<string> = new Set([
  ANNOTATIONS.hash,
  ANNOTATIONS.secrets,
  ANNOTATIONS.redeploy,
  ANNOTATIONS.given,
]);

/** On pods: those with a lower number go first when there are too many. Kubernetes's own. */
export const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";

/** The provider's own account, with which a function of its namespace could do all that the provider may. */
export const PLATFORM_ACCOUNT = "faaslane-provider";

/** Where a function's watchdog listens. */
export const FUNCTION_PORT = 8080;

/** Every OpenFaaS watchdog answers it; any other path may be a call of the function. */
export const HEALTH_PATH = "/_/health";

/** Where watchdogs that have it tell whether the function takes calls. For the oldest ones it is a call like any other. */
export const READY_PATH = "/_/ready";

/** Where a function finds its secrets. */
export const SECRETS_PATH = "/var/openfaas/secrets";

/**
 * Labels of the objects themselves; pods carry the function's own labels and {@link FUNCTION_LABEL} only.
 * @param unit a function, or `NAME@vN`: without the label that whoever lists functions looks for
 */
export function objectLabels(unit: string): Record<string, string> {
  const { name, version } = parseVersionedName(unit);
  const marks = version === undefined ? { [FUNCTION_LABEL]: name } : versionMarks(name, version);
  return {
    "app.kubernetes.io/component": version === undefined ? "function" : "function-version",
    [MANAGED_BY]: "faaslane",
    "app.kubernetes.io/name": name,
    ...marks,
  };
}

/** Labels that tell of which function it is a version. */
export function versionMarks(name: string, version: string): Record<string, string> {
  return { [VERSION_OF_LABEL]: name, [VERSION_LABEL]: version };
}

/** The function's own annotations as every object of it carries them. */
export function objectAnnotations(annotations: Readonly<Record<string, string>> = {}): Record<string, string> {
  return sortKeys({ [ANNOTATIONS.scrape]: "false", ...annotations });
}

/** Settings of a function that its pods never see, and the domains of such: another value must not start them anew. */
const APART: readonly string[] = [
  TRAFFIC,
  ROLLOUT,
  ROLLBACK_WINDOW,
  VERSION_NAME,
  VERSION_KEEP,
  STICKY,
  MIRROR,
  ROUTES,
  SECRETS_TRACK,
];

/** Whether an annotation is on the function's objects and not on its pods. */
export function isApart(key: string): boolean {
  return APART.some((name) => key === name || key.startsWith(`${name}.`));
}

/** A copy with its keys in order, so that equal maps have equal text. */
export function sortKeys<V>(map: Readonly<Record<string, V>>): Record<string, V> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
