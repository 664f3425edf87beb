import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import type { FlowReport } from "../../contract/events/flow-run.ts";
import type { FlowSpec } from "../../contract/events/flow-spec.ts";
import { PATHS } from "../../contract/paths.ts";
import { encodeWarnings, WARNING_HEADER } from "../../contract/warnings.ts";
import { bodyJson, rawBody, route, sendJson } from "../../kit/respond.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import { decodeHttp, httpMode } from "../codec/http.ts";
import { requireOwn } from "../declare/declaration.ts";
import { declareFlow, removeFlow } from "../declare/flow.ts";
import type { FlowSet } from "../flows/flow-set.ts";
import { type FlowSteps, newRunName } from "../flows/flow-steps.ts";
import type { Run } from "../flows/run.ts";
import { buildRunSummary } from "../flows/run-report.ts";
import { type NamedRun, RunStore } from "../flows/run-store.ts";
import { startRun } from "../flows/start-run.ts";
import type { EventStore } from "../store/event-store.ts";
import { type EventResource, MAX_RESOURCE_BYTES, type ResourceStore } from "../store/resource-store.ts";
import { forwardedHeaders } from "./forwarded-headers.ts";
import { readAskedNamespace, readForce, readResourceName } from "./names.ts";

export interface FlowRouteDeps {
  readonly events: Pick<EventStore, "append" | "drop" | "find" | "maxEventBytes">;
  readonly resources: ResourceStore;
  readonly flows: Pick<FlowSet, "find" | "refresh" | "all">;
  /** Reads JSONata without evaluating it. @throws {FaasError} `invalid`, naming `field` */
  readonly checkTransform: (expression: string, field: string) => Promise<void>;
  readonly authorized: RequestHandler;
  readonly defaultNamespace: string;
  readonly now?: () => number;
}

const MAX_KEY_CHARS = 256;
/** What structured events have beside their data, which may be in base64. */
const STRUCTURED_FACTOR = 4 / 3;
const STRUCTURED_EXTRA_BYTES = 64 * 1024;
const CHANNELS = "channelTemplate: nothing is done with it; steps have the events' store between them, and no channels";

/** `/system/flows`: declares flows, and starts runs of them. */
export function addFlowRoutes(app: Express, deps: FlowRouteDeps): void {
  const { authorized, events } = deps;
  const one = `${PATHS.flows}/:name`;
  const maxBytes = Math.ceil(events.maxEventBytes * STRUCTURED_FACTOR) + STRUCTURED_EXTRA_BYTES;
  route(app, PATHS.flows, { GET: [authorized, listRoute(deps)] });
  route(app, one, {
    GET: [authorized, showRoute(deps)],
    PUT: [authorized, rawBody(MAX_RESOURCE_BYTES), declareRoute(deps)],
    DELETE: [authorized, removeRoute(deps)],
  });
  route(app, `${one}/runs`, { POST: [authorized, rawBody(maxBytes), runRoute(deps)] });
}

function listRoute(deps: FlowRouteDeps): RequestHandler {
  return async (req, res) => {
    const namespace = readAskedNamespace(req, deps.defaultNamespace);
    const [documents, runs] = await Promise.all([
      deps.resources.list("flow", namespace),
      new RunStore(deps.resources).list(namespace),
    ]);
    const byName = documents.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    sendJson(
      res,
      byName.map((document) => shown(deps, document, runs)),
    );
  };
}

function showRoute(deps: FlowRouteDeps): RequestHandler {
  return async (req, res) => sendJson(res, await show(deps, addressOf(deps, req)));
}

function declareRoute(deps: FlowRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const spec = bodyJson(req, "flow");
    const before = await deps.resources.get(address);
    requireOwn(before);
    const decoded = await declareFlow(deps, { ...address, spec, before });
    const warnings = warningsOf(decoded);
    if (warnings.length > 0) res.set(WARNING_HEADER, encodeWarnings(warnings));
    sendJson(res, await show(deps, address), before ? 200 : 201);
  };
}

function warningsOf({ channelTemplate }: FlowSpec): string[] {
  return channelTemplate === undefined ? [] : [CHANNELS];
}

function removeRoute(deps: FlowRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const force = readForce(req);
    if (!force) requireOwn(await deps.resources.get(address));
    const runs = await new RunStore(deps.resources).list(address.namespace);
    const running = runs.filter(({ run }) => run.flow === address.name && run.state === "running").length;
    if (running > 0 && !force) {
      throw new FaasError("conflict", `flow ${address.name} has ${running} runs under way; force=true cancels them`);
    }
    if (!(await removeFlow(deps, address))) throw unknownFlow(address);
    res.status(204).end();
  };
}

/** Starts a run with the event that was sent, or with one whose data is the body. */
function runRoute(deps: FlowRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const steps = await workingFlow(deps, address);
    const event = readEvent(req, address.namespace, address.name);
    const headers = forwardedHeaders(req.rawHeaders);
    const asked = await startRun(steps, deps.events, { event, headers, key: readKey(req) });
    if (asked.duplicate) res.set("Idempotency-Replayed", "true");
    const now = (deps.now ?? Date.now)();
    sendJson(res, buildRunSummary(address.namespace, asked.name, asked.run, now), 202);
  };
}

/** @throws {FaasError} `notFound`; `conflict` for one that is not sound */
export async function workingFlow(
  deps: Pick<FlowRouteDeps, "flows" | "resources">,
  address: { readonly kind: "flow"; readonly namespace: string; readonly name: string },
): Promise<FlowSteps> {
  const known = deps.flows.find(address.namespace, address.name);
  if (known) return known;
  const document = await deps.resources.get(address);
  if (!document) throw unknownFlow(address);
  await deps.flows.refresh();
  const found = deps.flows.find(address.namespace, address.name);
  if (!found) throw new FaasError("conflict", `flow ${address.name} is not sound; declare it again`);
  return found;
}

function readEvent(req: Request, namespace: string, flow: string): CloudEvent {
  const body: Buffer = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
  if (httpMode(req.headers) !== undefined) {
    const events = decodeHttp(req.headers, body);
    const [event] = events;
    if (!event || events.length > 1) throw new FaasError("invalid", "run: a run has one event, and this is a batch");
    return event;
  }
  const type = req.headers["content-type"];
  return {
    attributes: {
      specversion: "1.0",
      id: newRunName(flow),
      source: `/flows/${namespace}/${flow}`,
      type: "com.faaslane.flow.started",
      ...(body.length > 0 && { datacontenttype: type ?? "application/json" }),
    },
    ...(body.length > 0 && { data: body }),
  };
}

function readKey(req: Request): string | undefined {
  const key = req.headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || key === "" || key.length > MAX_KEY_CHARS) {
    throw new FaasError("invalid", `Idempotency-Key: must have 1 to ${MAX_KEY_CHARS} characters`);
  }
  return key;
}

function addressOf({ defaultNamespace }: Pick<FlowRouteDeps, "defaultNamespace">, req: Request) {
  return {
    kind: "flow",
    namespace: readAskedNamespace(req, defaultNamespace),
    name: readResourceName(req),
  } as const;
}

async function show(deps: FlowRouteDeps, address: ReturnType<typeof addressOf>): Promise<FlowReport> {
  const document = await deps.resources.get(address);
  if (!document) throw unknownFlow(address);
  return shown(deps, document, await new RunStore(deps.resources).list(address.namespace));
}

function shown(
  deps: FlowRouteDeps,
  { namespace, name, spec, origin }: EventResource,
  runs: readonly NamedRun[],
): FlowReport {
  const counts: Partial<Record<Run["state"], number>> = {};
  for (const { run } of runs) if (run.flow === name) counts[run.state] = (counts[run.state] ?? 0) + 1;
  const prefix = `flow/${namespace}/${name}/`;
  const problem = deps.flows.all.find(({ id, problem }) => problem !== undefined && id.startsWith(prefix))?.problem;
  const by = origin && ({ origin: "object" } as const);
  return { name, namespace, ...by, spec, runs: counts, ...(problem !== undefined && { problem }) };
}

export function unknownFlow({ namespace, name }: { namespace: string; name: string }): FaasError {
  return new FaasError("notFound", `flow ${name} does not exist in namespace ${namespace}`, { code: "unknown_flow" });
}
