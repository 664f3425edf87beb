import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { decodeSourceSpec, encodeSourceSpec } from "../../contract/events/source-spec.ts";
import { PATHS } from "../../contract/paths.ts";
import { bodyJson, rawBody, route, sendJson } from "../../kit/respond.ts";
import { requireOwn } from "../declare/declaration.ts";
import { declareSource, removeSource, storeSource } from "../declare/source.ts";
import { documentId, readDocument } from "../sources/document-sources.ts";
import type { SourceStatus } from "../sources/source.ts";
import type { SourceRunner } from "../sources/source-runner.ts";
import type { SourceStatuses } from "../sources/source-statuses.ts";
import type { SourceTypes } from "../sources/source-types.ts";
import { type EventResource, MAX_RESOURCE_BYTES, type ResourceStore } from "../store/resource-store.ts";
import { readAskedNamespace, readForce, readResourceName } from "./names.ts";

export interface SourceRouteDeps {
  readonly resources: Pick<ResourceStore, "get" | "put" | "remove" | "list">;
  readonly types: SourceTypes;
  /** What runs in this process. */
  readonly runner: Pick<SourceRunner, "all" | "find" | "whenKnown">;
  /** What other processes tell, where there are any. */
  readonly statuses?: Pick<SourceStatuses, "read">;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
}

const UNSEEN: SourceStatus = { state: "connecting", events: 0, errors: 0 };

/** `/system/sources`: declares sources, and tells how they are. */
export function addSourceRoutes(app: Express, deps: SourceRouteDeps): void {
  const { authorized } = deps;
  const one = `${PATHS.sources}/:name`;
  const body = rawBody(MAX_RESOURCE_BYTES);
  route(app, PATHS.sources, { GET: [authorized, listRoute(deps)] });
  route(app, one, {
    GET: [authorized, showRoute(deps)],
    PUT: [authorized, body, declareRoute(deps)],
    DELETE: [authorized, removeRoute(deps)],
  });
  route(app, `${one}/suspend`, { POST: [authorized, suspendRoute(deps, true)] });
  route(app, `${one}/resume`, { POST: [authorized, suspendRoute(deps, false)] });
}

/** Those that functions' annotations declare come after the others. */
function listRoute(deps: SourceRouteDeps): RequestHandler {
  return async (req, res) => {
    const namespace = readAskedNamespace(req, deps.defaultNamespace);
    const documents = await deps.resources.list("source", namespace);
    const byFunctions = deps.runner
      .all()
      .filter(({ source }) => source.namespace === namespace && source.id.startsWith("function/"));
    const declared = await Promise.all(documents.map((document) => shown(deps, document)));
    const annotated = await Promise.all(
      byFunctions.map(async ({ source, status }) => ({
        name: source.name,
        namespace,
        function: source.name,
        spec: encodeSourceSpec(source),
        status: await statusOf(deps, source.id, status),
      })),
    );
    sendJson(res, [...declared.sort(byName), ...annotated.sort(byName)]);
  };
}

function showRoute(deps: SourceRouteDeps): RequestHandler {
  return async (req, res) => sendJson(res, await shown(deps, await found(deps, req)));
}

function declareRoute(deps: SourceRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const spec = bodyJson(req, "source");
    const before = await deps.resources.get(address);
    requireOwn(before);
    const document = await declareSource(deps, { ...address, spec, before });
    sendJson(res, await whenKnown(deps, document), before ? 200 : 201);
  };
}

function removeRoute(deps: SourceRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    if (!readForce(req)) requireOwn(await deps.resources.get(address));
    if (!(await removeSource(deps, address))) throw unknownSource(address);
    res.status(204).end();
  };
}

function suspendRoute(deps: SourceRouteDeps, suspend: boolean): RequestHandler {
  return async (req, res) => {
    const before = await found(deps, req);
    requireOwn(before);
    const spec = { ...decodeSourceSpec(before.spec), suspend };
    sendJson(res, await whenKnown(deps, await storeSource(deps, { ...addressOf(deps, req), spec, before }, spec)));
  };
}

type Address = ReturnType<typeof addressOf>;

function addressOf({ defaultNamespace }: SourceRouteDeps, req: Request) {
  return {
    kind: "source",
    namespace: readAskedNamespace(req, defaultNamespace),
    name: readResourceName(req),
  } as const;
}

async function found(deps: SourceRouteDeps, req: Request): Promise<EventResource> {
  const address = addressOf(deps, req);
  const document = await deps.resources.get(address);
  if (!document) throw unknownSource(address);
  return document;
}

async function whenKnown(deps: SourceRouteDeps, document: EventResource) {
  await deps.runner.whenKnown(readDocument(document));
  return await shown(deps, document);
}

async function shown(deps: SourceRouteDeps, document: EventResource) {
  const { namespace, name, spec, origin } = document;
  const id = documentId(namespace, name);
  const by = origin && { origin: "object" };
  return { name, namespace, ...by, spec, status: await statusOf(deps, id, deps.runner.find(id)?.status) };
}

/** Of one that runs elsewhere, what is told of it there. */
async function statusOf(deps: SourceRouteDeps, id: string, here: SourceStatus | undefined): Promise<SourceStatus> {
  if (here && here.state !== "elsewhere") return here;
  return (await deps.statuses?.read(id)) ?? here ?? UNSEEN;
}

function byName(one: { readonly name: string }, other: { readonly name: string }): number {
  return one.name < other.name ? -1 : 1;
}

function unknownSource({ namespace, name }: Address): FaasError {
  return new FaasError("notFound", `source ${name} does not exist in namespace ${namespace}`, {
    code: "unknown_source",
  });
}
