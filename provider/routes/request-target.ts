import type { Request } from "express";
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

/** The `{name}` of the path; empty where the path may end before it. */
export function pathName(req: Request): string {
  const { name } = req.params;
  return typeof name === "string" ? name : "";
}
