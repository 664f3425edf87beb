import type { Request } from "express";
import { clip } from "../../contract/clip.ts";
import { USER_HEADER } from "../../contract/paths.ts";
import { queryText } from "../../kit/respond.ts";

/**
 * The namespace a request means. Clients of OpenFaaS put it into the query, the body or nowhere, depending on the
 * operation and on the client, so all three are read in this order.
 */
export function requestedNamespace(
  req: Request,
  body: { readonly namespace?: string | undefined },
  fallback: string,
): string {
  return queryText(req, "namespace") ?? (body.namespace || fallback);
}

const MAX_USER_CHARS = 100;

/** Who asks, as a gateway says that has seen the login. */
export function requestedBy(req: Request): string | undefined {
  const user = req.headers[USER_HEADER];
  return typeof user === "string" && user !== "" ? clip(user, MAX_USER_CHARS) : undefined;
}

/** The `{name}` of the path; empty where the path may end before it. */
export function pathName(req: Request): string {
  const { name } = req.params;
  return typeof name === "string" ? name : "";
}
