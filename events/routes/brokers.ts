import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { decodeBrokerSpec } from "../../contract/events/broker-spec.ts";
import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import { PATHS } from "../../contract/paths.ts";
import { bodyJson, rawBody, route, sendJson } from "../../kit/respond.ts";
import type { Broker, KnownBrokers } from "../brokers/known-brokers.ts";
import { declareBroker, removeBroker } from "../declare/broker.ts";
import { requireOwn } from "../declare/declaration.ts";
import type { BrokerRef, BrokerStats, EventStore } from "../store/event-store.ts";
import { MAX_RESOURCE_BYTES, type ResourceStore } from "../store/resource-store.ts";
import { BROKER_PREFIX } from "./broker.ts";
import { readAskedNamespace, readForce, readResourceName } from "./names.ts";

export interface BrokerRouteDeps {
  readonly events: Pick<EventStore, "stats" | "drop">;
  readonly resources: Pick<ResourceStore, "get" | "put" | "remove" | "list">;
  readonly brokers: Pick<KnownBrokers, "find" | "refresh">;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
}

/** `/system/brokers`: declares brokers, and tells what they keep. */
export function addBrokerRoutes(app: Express, deps: BrokerRouteDeps): void {
  const { authorized } = deps;
  route(app, PATHS.brokers, { GET: [authorized, listRoute(deps)] });
  route(app, `${PATHS.brokers}/:name`, {
    GET: [authorized, showRoute(deps)],
    PUT: [authorized, rawBody(MAX_RESOURCE_BYTES), declareRoute(deps)],
    DELETE: [authorized, removeRoute(deps)],
  });
}

/** Those that are declared, the default one, and those that still have events. */
function listRoute(deps: BrokerRouteDeps): RequestHandler {
  return async (req, res) => {
    const namespace = readAskedNamespace(req, deps.defaultNamespace);
    const [documents, stats] = await Promise.all([
      deps.resources.list("broker", namespace),
      deps.events.stats(namespace),
    ]);
    const names = [DEFAULT_BROKER, ...documents.map(({ name }) => name), ...stats.map(({ broker }) => broker.name)];
    const all = await Promise.all([...new Set(names)].sort().map((name) => deps.brokers.find({ namespace, name })));
    const known = all.filter((broker) => broker !== undefined);
    sendJson(
      res,
      known.map((broker) => shown(broker, stats)),
    );
  };
}

function showRoute(deps: BrokerRouteDeps): RequestHandler {
  return async (req, res) => sendJson(res, await show(deps, addressOf(deps, req)));
}

function declareRoute(deps: BrokerRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const spec = bodyJson(req, "broker");
    decodeBrokerSpec(spec);
    const before = await deps.resources.get({ kind: "broker", ...address });
    requireOwn(before);
    await declareBroker(deps, { ...address, spec, before });
    sendJson(res, await show(deps, address), before ? 200 : 201);
  };
}

/** What is still to be delivered keeps a broker, unless its owner does without. */
function removeRoute(deps: BrokerRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const forced = readForce(req);
    const document = await deps.resources.get({ kind: "broker", ...address });
    if (!document) throw unknownBroker(address);
    if (!forced) requireOwn(document);
    const stats = statsOf(address, await deps.events.stats(address.namespace));
    const open = stats ? openOf(stats) : 0;
    if (open > 0 && !forced) {
      throw new FaasError(
        "conflict",
        `broker ${address.name} has ${open} events and deliveries that are not done; ?force=true drops them`,
      );
    }
    await removeBroker(deps, address);
    res.status(204).end();
  };
}

function addressOf({ defaultNamespace }: BrokerRouteDeps, req: Request): BrokerRef {
  return { namespace: readAskedNamespace(req, defaultNamespace), name: readResourceName(req) };
}

async function show(deps: BrokerRouteDeps, address: BrokerRef) {
  const broker = await deps.brokers.find(address);
  if (!broker) throw unknownBroker(address);
  return shown(broker, await deps.events.stats(address.namespace));
}

function shown({ namespace, name, declared, byObject, written }: Broker, all: readonly BrokerStats[]) {
  const stats = statsOf({ namespace, name }, all);
  return {
    name,
    namespace,
    declared,
    ...(byObject && { origin: "object" }),
    path: `${BROKER_PREFIX}${namespace}/${name}`,
    spec: written,
    events: stats?.events ?? 0,
    bytes: stats?.bytes ?? 0,
    open: stats ? openOf(stats) : 0,
    dead: stats?.dead ?? 0,
    ...(stats?.oldestOpenAt !== undefined && { oldestOpenAt: stats.oldestOpenAt }),
  };
}

function statsOf({ namespace, name }: BrokerRef, all: readonly BrokerStats[]): BrokerStats | undefined {
  return all.find(({ broker }) => broker.namespace === namespace && broker.name === name);
}

/** Events that are not given to triggers yet, and deliveries that are not done. */
function openOf({ pending, open }: BrokerStats): number {
  return pending + Object.values(open).reduce((sum, count) => sum + count, 0);
}

function unknownBroker({ namespace, name }: BrokerRef): FaasError {
  return new FaasError("notFound", `broker ${name} does not exist in namespace ${namespace}`, {
    code: "unknown_broker",
  });
}
