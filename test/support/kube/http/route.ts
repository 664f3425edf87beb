import type { Resource, ResourceTable } from "../resources.ts";
import { badRequest, noSuchResource } from "../status.ts";

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "apply" | "delete" | "deletecollection";

/** A request for objects. */
export interface ResourceRoute {
  readonly verb: Verb;
  readonly resource: Resource;
  /** "" for all, or for resources without. */
  readonly namespace: string;
  /** "" for a collection. */
  readonly name: string;
  /** As `scale`, `status`, `log`; "" is the object itself. */
  readonly subresource: string;
  readonly query: URLSearchParams;
}

const PATH =
  /^\/(?:api\/(?<core>v1)|apis\/(?<group>[^/]+)\/(?<version>[^/]+))(?:\/namespaces\/(?<namespace>[^/]+)(?=\/[^/]+))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[^/]+))?\/?$/;
/** These follow a namespace's name, and are no resources within it. */
const OF_NAMESPACES = /^\/api\/v1\/namespaces\/(?<name>[^/]+)\/(?<subresource>status|finalize)$/;

/** What the path of a request for objects says; whatever is absent is "". */
export interface PathParts {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly plural: string;
  readonly name: string;
  readonly subresource: string;
}

/** Undefined when the path is not for objects. @throws {ApiError} bad request when it is malformed */
export function readPath(pathname: string): PathParts | undefined {
  const path = decodePath(pathname);
  const special = OF_NAMESPACES.exec(path)?.groups;
  const groups = special === undefined ? PATH.exec(path)?.groups : { core: "v1", plural: "namespaces", ...special };
  if (groups === undefined) return undefined;
  const { core = "", group = "", version = core, namespace = "", plural = "", name = "", subresource = "" } = groups;
  return { group, version, namespace, plural, name, subresource };
}

/**
 * Reads the URL of a request for objects.
 * @throws {ApiError} not found when there is no such resource; undefined when the path is not for objects at all
 */
export function parseRoute(
  method: string,
  url: URL,
  contentType: string,
  table: ResourceTable,
): ResourceRoute | undefined {
  const parts = readPath(url.pathname);
  if (parts === undefined) return undefined;
  const { group, version, namespace, plural, name, subresource } = parts;
  const resource = table.find(group, version, plural);
  if (resource === undefined || (namespace !== "" && !resource.namespaced)) throw noSuchResource();
  const verb = verbOf(method, name, contentType, url.searchParams);
  if (verb === undefined || (name !== "" && namespace === "" && resource.namespaced)) throw noSuchResource();
  return { verb, resource, namespace, name, subresource, query: url.searchParams };
}

function decodePath(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    throw badRequest(`${path} is not a well-formed path`);
  }
}

export function verbOf(method: string, name: string, contentType: string, query: URLSearchParams): Verb | undefined {
  switch (method) {
    case "GET":
      if (isTrue(query.get("watch"))) return "watch";
      return name === "" ? "list" : "get";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return contentType.startsWith("application/apply-patch+") ? "apply" : "patch";
    case "DELETE":
      return name === "" ? "deletecollection" : "delete";
    default:
      return undefined;
  }
}

export function isTrue(value: string | null): boolean {
  return value === "true" || value === "1";
}
