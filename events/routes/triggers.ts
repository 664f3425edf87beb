import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { isDnsLabel } from "../../contract/names.ts";
import { PATHS } from "../../contract/paths.ts";
import { bodyJson, rawBody, route, sendJson } from "../../kit/respond.ts";
import { requireOwn } from "../declare/declaration.ts";
import { declaredTriggerId, declareTrigger, removeTrigger } from "../declare/trigger.ts";
import type { BrokerStats, EventStore } from "../store/event-store.ts";
import { type EventResource, MAX_RESOURCE_BYTES, type ResourceStore } from "../store/resource-store.ts";
import { functionTriggerId } from "../triggers/annotation-trigger.ts";
import type { OpenTriggers } from "../triggers/open-triggers.ts";
import { formatSubscriber } from "../triggers/subscribers.ts";
import type { Trigger } from "../triggers/trigger.ts";
import { readAskedNamespace, readForce, readResourceName } from "./names.ts";

export interface TriggerRouteDeps {
  readonly events: Pick<EventStore, "stats" | "drop">;
  readonly resources: Pick<ResourceStore, "get" | "put" | "remove" | "list">;
  readonly triggers: Pick<OpenTriggers, "refresh"> & {
    readonly triggers: Pick<OpenTriggers["triggers"], "all" | "find" | "resume">;
  };
  /** Reads JSONata without evaluating it. @throws {FaasError} `invalid`, naming `field` */
  readonly checkTransform: (expression: string, field: string) => Promise<void>;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
}

/** `/system/triggers`: declares triggers, and tells of all that there are, whatever declares them. */
export function addTriggerRoutes(app: Express, deps: TriggerRouteDeps): void {
  const { authorized } = deps;
  const one = `${PATHS.triggers}/:name`;
  route(app, PATHS.triggers, { GET: [authorized, listRoute(deps)] });
  route(app, one, {
    GET: [authorized, showRoute(deps)],
    PUT: [authorized, rawBody(MAX_RESOURCE_BYTES), declareRoute(deps)],
    DELETE: [authorized, removeRoute(deps)],
  });
  route(app, `${one}/resume`, { POST: [authorized, resumeRoute(deps)] });
}

function listRoute(deps: TriggerRouteDeps): RequestHandler {
  return async (req, res) => {
    const namespace = readAskedNamespace(req, deps.defaultNamespace);
    await deps.triggers.refresh();
    const [documents, stats] = await Promise.all([
      deps.resources.list("trigger", namespace),
      deps.events.stats(namespace),
    ]);
    const byTrigger = new Map(documents.map((document) => [declaredTriggerId(namespace, document.name), document]));
    const own = deps.triggers.triggers.all.filter((trigger) => trigger.namespace === namespace);
    sendJson(
      res,
      own.sort(byId).map((trigger) => shown(trigger, byTrigger.get(trigger.id), stats)),
    );
  };
}

function showRoute(deps: TriggerRouteDeps): RequestHandler {
  return async (req, res) => {
    const { trigger, document } = await found(deps, req);
    sendJson(res, shown(trigger, document, await deps.events.stats(trigger.namespace)));
  };
}

function declareRoute(deps: TriggerRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const spec = bodyJson(req, "trigger");
    const before = await deps.resources.get(address);
    requireOwn(before);
    await declareTrigger(deps, { ...address, spec, before });
    const { trigger, document } = await found(deps, req);
    sendJson(res, shown(trigger, document, await deps.events.stats(address.namespace)), before ? 200 : 201);
  };
}

function removeRoute(deps: TriggerRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    if (!readForce(req)) requireOwn(await deps.resources.get(address));
    if (!(await removeTrigger(deps, address))) throw unknownTrigger(address.namespace, address.name);
    res.status(204).end();
  };
}

/** Starts one again that stopped as its subscriber said that it is gone, or that its owner had suspended. */
function resumeRoute(deps: TriggerRouteDeps): RequestHandler {
  return async (req, res) => {
    const { trigger, document } = await found(deps, req);
    const { suspend, ...spec } = (document?.spec ?? {}) as { readonly suspend?: unknown };
    if (document && suspend === true) {
      requireOwn(document);
      const { kind, namespace, name, version } = document;
      await deps.resources.put({ kind, namespace, name, spec }, version);
      await deps.triggers.refresh();
    } else if (trigger.suspended) {
      throw new FaasError("conflict", `trigger ${trigger.id} is suspended by an annotation of its function`);
    }
    await deps.triggers.triggers.resume(trigger.id);
    const now = await found(deps, req);
    sendJson(res, shown(now.trigger, now.document, await deps.events.stats(trigger.namespace)));
  };
}

function addressOf({ defaultNamespace }: TriggerRouteDeps, req: Request) {
  return {
    kind: "trigger",
    namespace: readAskedNamespace(req, defaultNamespace),
    name: readResourceName(req),
  } as const;
}

interface FoundTrigger {
  readonly trigger: Trigger;
  /** Of one that is declared. */
  readonly document: EventResource | undefined;
}

/** By its id, e.g. `function/NAMESPACE/NAME`, or by name: one that is declared, or else the function's of that name. */
async function found(deps: TriggerRouteDeps, req: Request): Promise<FoundTrigger> {
  const namespace = readAskedNamespace(req, deps.defaultNamespace);
  const name = String(req.params.name);
  const ids = name.includes("/")
    ? [name]
    : [declaredTriggerId(namespace, name), functionTriggerId({ namespace, name })];
  const known = ids.flatMap((id) => deps.triggers.triggers.find(id) ?? []);
  const [trigger] = known;
  if (!trigger) throw unknownTrigger(namespace, name);
  const [kind, of = "", declared = ""] = trigger.id.split("/");
  const document =
    kind === "trigger" && isDnsLabel(declared)
      ? await deps.resources.get({ kind: "trigger", namespace: of, name: declared })
      : undefined;
  return { trigger, document };
}

function shown(trigger: Trigger, document: EventResource | undefined, stats: readonly BrokerStats[]) {
  const { id, namespace, broker, subscriber, deadLetter, stopped, suspended, problem } = trigger;
  const [origin = "", , ...name] = id.split("/");
  return {
    id,
    name: name.join("/"),
    namespace,
    /**
     * `function` by annotations, `trigger` by declaration, `object` by one of a cluster, `flow` for a flow's step, `replay`,
     * `sink` for what functions send there.
     */
    origin: document?.origin ? "object" : origin,
    ...(broker && { broker: broker.name }),
    subscriber: formatSubscriber(subscriber),
    ...(deadLetter && { deadLetter: formatSubscriber(deadLetter) }),
    ...(document && { spec: document.spec }),
    ...(suspended && { suspended }),
    ...(stopped !== undefined && { stopped }),
    ...(problem !== undefined && { problem }),
    open: stats.reduce((sum, { open }) => sum + (open[id] ?? 0), 0),
  };
}

function byId({ id: one }: Trigger, { id: other }: Trigger): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function unknownTrigger(namespace: string, name: string): FaasError {
  return new FaasError("notFound", `trigger ${name.slice(0, 200)} does not exist in namespace ${namespace}`, {
    code: "unknown_trigger",
  });
}
