import type { RequestHandler } from "express";
import { decodeRemoveRoutesRequest, decodeRoutesRequest } from "../../contract/routes/requests.ts";
import { bodyJson, queryText, sendJson } from "../../kit/respond.ts";
import type { OwnedRoutes } from "./owned-routes.ts";
import { requestedNamespace } from "./request-target.ts";

/** `GET /system/routes` → 200 with the routes of all functions, or of those of `?namespace=`. */
export function listRoutes(routes: Pick<OwnedRoutes, "list">): RequestHandler {
  return async (req, res) => sendJson(res, await routes.list(queryText(req, "namespace")));
}

/** `PUT /system/routes` with `{ function, namespace?, routes }` → 202; fails as `invalid`, `notFound` or `conflict`. */
export function setRoutes(routes: Pick<OwnedRoutes, "set">, fallback: string): RequestHandler {
  return async (req, res) => {
    const body = decodeRoutesRequest(bodyJson(req, "failed to unmarshal request"));
    await routes.set({ name: body.function, namespace: requestedNamespace(req, body, fallback) }, body.routes);
    res.status(202).end();
  };
}

/** `DELETE /system/routes` with `{ function, namespace? }` → 202; the function has none any more. */
export function removeRoutes(routes: Pick<OwnedRoutes, "set">, fallback: string): RequestHandler {
  return async (req, res) => {
    const body = decodeRemoveRoutesRequest(bodyJson(req, "failed to unmarshal request"));
    await routes.set({ name: body.function, namespace: requestedNamespace(req, body, fallback) }, []);
    res.status(202).end();
  };
}
