import { isFunctionName } from "../../../../contract/functions.ts";
import { isDnsLabel } from "../../../../contract/names.ts";
import { normalizeRoutes } from "../../../../contract/routes/route.ts";
import type { IngressRoute } from "../../backend.ts";

/** OpenFaaS's object that gives a function a domain. */
export interface FunctionIngress {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: {
    readonly domain?: string;
    /** `name` or `name.namespace`. */
    readonly function?: string;
    /** A path, or an expression of nginx's such as `/v1/(.*)`. */
    readonly path?: string;
    readonly tls?: {
      readonly enabled?: boolean;
      readonly issuerRef?: { readonly name?: string; readonly kind?: string };
    };
  };
}

export interface ReadIngress {
  readonly routes: readonly IngressRoute[];
  /** Why there are none. */
  readonly problem?: string;
}

/** All below a path, as people write that: `/a/(.*)`, `/a/.*`, `/a(/|$)(.*)`. */
const REST = /(?:\/\(\.\*\)|\/\.\*|\(\/\|\$\)\(\.\*\)|\/?\*)\$?$/;

/**
 * The route that a FunctionIngress means: its path and all below it, with the path cut.
 * @param defaultNamespace of functions that do not name theirs
 */
export function readFunctionIngress(object: FunctionIngress, defaultNamespace: string): ReadIngress {
  const { metadata: { name = "" } = {}, spec = {} } = object;
  const { domain, function: target = "", path = "/", tls } = spec;
  const dot = target.indexOf(".");
  const [fn, namespace] = dot < 0 ? [target, defaultNamespace] : [target.slice(0, dot), target.slice(dot + 1)];
  if (!isFunctionName(fn) || !isDnsLabel(namespace)) return { routes: [], problem: "spec.function: names no function" };
  if (!domain) return { routes: [], problem: "spec.domain: is missing" };
  const plain = path.replace(/^\^/, "").replace(REST, "") || "/";
  const { routes, problems } = normalizeRoutes([
    {
      host: domain,
      path: plain,
      ...(tls?.enabled && { certificate: `${name}-cert` }),
      ...(tls?.enabled && tls.issuerRef?.name !== undefined && { issuer: tls.issuerRef.name }),
    },
  ]);
  const [problem] = problems;
  if (problem !== undefined) return { routes: [], problem: problem.replace(/^route 1: /, "spec.") };
  const source = `FunctionIngress ${name}`;
  return { routes: routes.map((route) => ({ function: { name: fn, namespace }, route, source })) };
}

export function trimFunctionIngress({ metadata = {}, spec }: FunctionIngress): FunctionIngress {
  const { name, namespace, resourceVersion } = metadata;
  return {
    metadata: {
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(resourceVersion !== undefined && { resourceVersion }),
    },
    ...(spec && { spec }),
  };
}
