import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { bodyJson, rawBody, route, sendJson } from "../../kit/respond.ts";
import { requireOwn } from "../declare/declaration.ts";
import { declareSink } from "../declare/sink.ts";
import type { SinkTypes } from "../sinks/sink-types.ts";
import type { Sinks } from "../sinks/sinks.ts";
import { type EventResource, MAX_RESOURCE_BYTES, type ResourceStore } from "../store/resource-store.ts";
import { readAskedNamespace, readForce, readResourceName } from "./names.ts";

export interface SinkRouteDeps {
  readonly resources: Pick<ResourceStore, "get" | "put" | "remove" | "list">;
  readonly sinkTypes: SinkTypes;
  /** Those of this process, for how they are. */
  readonly sinks: Pick<Sinks, "status">;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
}

/** `/system/sinks`: declares sinks, and tells how they are. */
export function addSinkRoutes(app: Express, deps: SinkRouteDeps): void {
  const { authorized } = deps;
  route(app, PATHS.sinks, { GET: [authorized, listRoute(deps)] });
  route(app, `${PATHS.sinks}/:name`, {
    GET: [authorized, showRoute(deps)],
    PUT: [authorized, rawBody(MAX_RESOURCE_BYTES), declareRoute(deps)],
    DELETE: [authorized, removeRoute(deps)],
  });
}

function listRoute(deps: SinkRouteDeps): RequestHandler {
  return async (req, res) => {
    const documents = await deps.resources.list("sink", readAskedNamespace(req, deps.defaultNamespace));
    const byName = documents.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    sendJson(
      res,
      byName.map((document) => shown(deps, document)),
    );
  };
}

function showRoute(deps: SinkRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const document = await deps.resources.get(address);
    if (!document) throw unknownSink(address);
    sendJson(res, shown(deps, document));
  };
}

function declareRoute(deps: SinkRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const spec = bodyJson(req, "sink");
    const before = await deps.resources.get(address);
    requireOwn(before);
    sendJson(res, shown(deps, await declareSink(deps, { ...address, spec, before })), before ? 200 : 201);
  };
}

function removeRoute(deps: SinkRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    if (!readForce(req)) requireOwn(await deps.resources.get(address));
    if (!(await deps.resources.remove(address))) throw unknownSink(address);
    res.status(204).end();
  };
}

function addressOf({ defaultNamespace }: SinkRouteDeps, req: Request) {
  return { kind: "sink", namespace: readAskedNamespace(req, defaultNamespace), name: readResourceName(req) } as const;
}

function shown({ sinks }: SinkRouteDeps, { namespace, name, spec, origin }: EventResource) {
  return { name, namespace, ...(origin && { origin: "object" }), spec, status: sinks.status({ namespace, name }) };
}

function unknownSink({ namespace, name }: { readonly namespace: string; readonly name: string }): FaasError {
  return new FaasError("notFound", `sink ${name} does not exist in namespace ${namespace}`, { code: "unknown_sink" });
}
