import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import { PATHS } from "../../contract/paths.ts";
import {
  decodeHoldRequest,
  decodeListedRollout,
  decodeRollbackRequest,
  decodeRolloutRequest,
  decodeTrafficRequest,
} from "../../contract/versions/requests.ts";
import { bodyJson, queryText, route, sendJson } from "../../kit/respond.ts";
import type { VersionControl } from "../versions/version-control.ts";
import { pathName, requestedBy, requestedNamespace } from "./request-target.ts";

/** Routes below a function about its versions; all fail as `notFound` without the function, and as `unsupported` without versions. */
export function addVersionRoutes(
  app: Express,
  control: VersionControl | undefined,
  body: RequestHandler,
  fallback: string,
): void {
  const base = `${PATHS.function}:name`;
  const answer = (
    work: (control: VersionControl, ref: FunctionRef, req: Request) => Promise<unknown>,
  ): RequestHandler => {
    return async (req, res) => {
      if (!control) throw new FaasError("unsupported", "this provider keeps no versions of functions");
      const ref = { name: pathName(req), namespace: requestedNamespace(req, {}, fallback) };
      const result = await work(control, ref, req);
      if (result === undefined) res.status(202).end();
      else sendJson(res, result);
    };
  };
  route(app, `${base}/versions`, { GET: [answer((versions, ref, req) => versions.list(ref, queryText(req, "diff")))] });
  route(app, `${base}/versions/:version`, {
    DELETE: [answer((versions, ref, req) => versions.remove(ref, String(req.params.version)))],
  });
  route(app, `${base}/versions/:version/hold`, {
    PUT: [
      body,
      answer((versions, ref, req) =>
        versions.hold(ref, String(req.params.version), decodeHoldRequest(read(req)).until),
      ),
    ],
  });
  route(app, `${base}/traffic`, {
    GET: [answer((versions, ref) => versions.traffic(ref))],
    PUT: [
      body,
      answer((versions, ref, req) => versions.setTraffic(ref, decodeTrafficRequest(read(req)), requestedBy(req))),
    ],
  });
  route(app, `${base}/rollback`, {
    POST: [
      body,
      answer((versions, ref, req) => versions.rollback(ref, decodeRollbackRequest(read(req, {})), requestedBy(req))),
    ],
  });
  route(app, `${base}/rollout`, {
    GET: [answer((versions, ref) => versions.rollout(ref))],
    POST: [body, answer((versions, ref, req) => versions.act(ref, decodeRolloutRequest(read(req)), requestedBy(req)))],
    PUT: [body, answer((versions, ref, req) => versions.drive(ref, decodeListedRollout(read(req))))],
  });
}

/** @param empty what no body means; it is refused unless given */
function read(req: Request, empty?: object): unknown {
  const isEmpty = !Buffer.isBuffer(req.body) || req.body.length === 0;
  return isEmpty && empty ? empty : bodyJson(req, "failed to unmarshal request");
}
