import { ApiError } from "../status.ts";
import { type PathParts, readPath, type Verb, verbOf } from "./route.ts";

/** Rules as in a Role, or a ClusterRole. */
export interface Grant {
  /** Where they hold; `all` also for what is in no namespace, and for all namespaces at once. */
  readonly namespaces: readonly string[] | "all";
  readonly rules: readonly Rule[];
}

export interface Rule {
  /** "" is the core group. */
  readonly group: string;
  /** With its subresource, as `pods/log`. */
  readonly resource: string;
  readonly verbs: readonly string[];
}

/** Who may do no more than it was granted, known by its bearer token. */
export interface Account {
  readonly token: string;
  /** As `system:serviceaccount:openfaas:provider`. */
  readonly user: string;
  readonly grants: readonly Grant[];
  /** Is told of what was refused. */
  onRefused?(message: string): void;
}

/** What one request asks for, in the words of RBAC. */
interface Attributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace: string;
}

/** Apply is no verb of its own; the others are. */
const verbName = (verb: Verb) => (verb === "apply" ? "patch" : verb);

/**
 * What has to be granted for a request; nothing for one that is not for objects.
 * @param exists whether its object is there: what creates it by apply or update needs `create` too
 */
export function attributesOf(
  method: string,
  url: URL,
  contentType: string,
  exists: (parts: PathParts) => boolean,
): Attributes[] {
  const parts = readPath(url.pathname);
  const verb = parts && verbOf(method, parts.name, contentType, url.searchParams);
  if (parts === undefined || verb === undefined) return [];
  const { group, plural, subresource, name } = parts;
  const resource = subresource === "" ? plural : `${plural}/${subresource}`;
  // A namespace counts as being within itself.
  const namespace = group === "" && plural === "namespaces" ? name : parts.namespace;
  const asked = { verb: verbName(verb), group, resource, namespace };
  const creates = (verb === "apply" || verb === "update") && subresource === "" && !exists(parts);
  return creates ? [asked, { ...asked, verb: "create" }] : [asked];
}

function isGranted({ grants }: Account, { verb, group, resource, namespace }: Attributes): boolean {
  return grants.some(
    ({ namespaces, rules }) =>
      (namespaces === "all" || (namespace !== "" && namespaces.includes(namespace))) &&
      rules.some((rule) => rule.group === group && rule.resource === resource && rule.verbs.includes(verb)),
  );
}

/** @throws {ApiError} forbidden for the first of `asked` that was not granted */
export function authorise(account: Account, asked: readonly Attributes[], name: string): void {
  const refused = asked.find((one) => !isGranted(account, one));
  if (refused === undefined) return;
  const { verb, group, resource, namespace } = refused;
  const plural = resource.split("/")[0] ?? "";
  const subject = group === "" ? plural : `${plural}.${group}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  const why = `User "${account.user}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
  const message = `${subject}${name === "" ? "" : ` "${name}"`} is forbidden: ${why}`;
  account.onRefused?.(message);
  throw new ApiError(403, "Forbidden", message, { name, group, kind: plural });
}
