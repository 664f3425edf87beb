import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import type { FlowReport } from "../../contract/events/flow-run.ts";
import { decodeFlowSpec, type FlowSpec, isFlowName } from "../../contract/events/flow-spec.ts";
import { PATHS } from "../../contract/paths.ts";
import { encodeWarnings, WARNING_HEADER } from "../../contract/warnings.ts";
import { bodyJson, queryText, rawBody, route, sendJson } from "../../kit/respond.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import { decodeHttp, httpMode } from "../codec/http.ts";
import type { FlowSet } from "../flows/flow-set.ts";
import { type FlowSteps, newRunName, stepOrder } from "../flows/flow-steps.ts";
import { expressionsOf, type FlowPlan, planFlow } from "../flows/plan.ts";
import { endRun, latestStep, type Run } from "../flows/run.ts";
import { buildRunSummary } from "../flows/run-report.ts";
import { type NamedRun, RunStore } from "../flows/run-store.ts";
import { startRun } from "../flows/start-run.ts";
import type { EventStore } from "../store/event-store.ts";
import { type EventResource, MAX_RESOURCE_BYTES, type ResourceStore } from "../store/resource-store.ts";
import { forwardedHeaders } from "./forwarded-headers.ts";
import { readAskedNamespace, readResourceName } from "./names.ts";

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

/** Of one namespace. */
const MAX_FLOWS = 500;
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
    if (!isFlowName(address.name)) {
      throw new FaasError("invalid", "name: must be at most 40 of a-z, 0-9 and -, which neither begins nor ends it");
    }
    const spec = bodyJson(req, "flow");
    const decoded = decodeFlowSpec(spec);
    const plan = planFlow(decoded, address);
    for (const [field, expression] of expressionsOf(decoded)) await deps.checkTransform(expression, field);
    const before = await deps.resources.get(address);
    if (!before && (await deps.resources.list("flow", address.namespace)).length >= MAX_FLOWS) {
      throw new FaasError("unprocessable", `flow: a namespace has at most ${MAX_FLOWS} flows`);
    }
    const triggersBefore = triggersOf(deps, address);
    await deps.resources.put({ ...address, spec }, before?.version ?? 0);
    await deps.flows.refresh();
    if (before) await settleChange(deps, plan, triggersBefore);
    const warnings = warningsOf(decoded);
    if (warnings.length > 0) res.set(WARNING_HEADER, encodeWarnings(warnings));
    sendJson(res, await show(deps, address), before ? 200 : 201);
  };
}

function warningsOf({ channelTemplate }: FlowSpec): string[] {
  return channelTemplate === undefined ? [] : [CHANNELS];
}

/** Runs at a step that the flow has no more cannot go on. */
async function settleChange(deps: FlowRouteDeps, plan: FlowPlan, triggersBefore: readonly string[]): Promise<void> {
  const { namespace, name } = plan;
  const order = stepOrder(plan);
  const now = (deps.now ?? Date.now)();
  await changeRunning(deps, namespace, name, (run) => {
    const step = latestStep(run, Object.keys(run.steps));
    if (step === undefined || order.includes(step)) return run;
    const cause = `the flow has no step ${step} any more`;
    return endRun(run, { state: "failed", error: { step, errorType: "FlowChanged", cause } }, now);
  });
  const left = new Set(triggersOf(deps, plan));
  for (const id of triggersBefore) if (!left.has(id)) await deps.events.drop(id, "its flow was changed");
}

function removeRoute(deps: FlowRouteDeps): RequestHandler {
  return async (req, res) => {
    const address = addressOf(deps, req);
    const force = queryText(req, "force") === "true";
    const runs = await new RunStore(deps.resources).list(address.namespace);
    const running = runs.filter(({ run }) => run.flow === address.name && run.state === "running").length;
    if (running > 0 && !force) {
      throw new FaasError("conflict", `flow ${address.name} has ${running} runs under way; force=true cancels them`);
    }
    const triggers = triggersOf(deps, address);
    if (!(await deps.resources.remove(address))) throw unknownFlow(address);
    await deps.flows.refresh();
    const now = (deps.now ?? Date.now)();
    await changeRunning(deps, address.namespace, address.name, (run) => endRun(run, { state: "cancelled" }, now));
    for (const id of triggers) await deps.events.drop(id, "its flow was removed");
    res.status(204).end();
  };
}

async function changeRunning(
  deps: FlowRouteDeps,
  namespace: string,
  flow: string,
  change: (run: Run) => Run,
): Promise<void> {
  const store = new RunStore(deps.resources);
  for (const { name, run } of await store.list(namespace)) {
    if (run.flow === flow && run.state === "running") await store.change(namespace, name, change);
  }
}

function triggersOf(deps: FlowRouteDeps, { namespace, name }: { namespace: string; name: string }): string[] {
  const prefix = `flow/${namespace}/${name}/`;
  return deps.flows.all.flatMap(({ id }) => (id.startsWith(prefix) ? [id] : []));
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

function shown(deps: FlowRouteDeps, { namespace, name, spec }: EventResource, runs: readonly NamedRun[]): FlowReport {
  const counts: Partial<Record<Run["state"], number>> = {};
  for (const { run } of runs) if (run.flow === name) counts[run.state] = (counts[run.state] ?? 0) + 1;
  const prefix = `flow/${namespace}/${name}/`;
  const problem = deps.flows.all.find(({ id, problem }) => problem !== undefined && id.startsWith(prefix))?.problem;
  return { name, namespace, spec, runs: counts, ...(problem !== undefined && { problem }) };
}

export function unknownFlow({ namespace, name }: { namespace: string; name: string }): FaasError {
  return new FaasError("notFound", `flow ${name} does not exist in namespace ${namespace}`, { code: "unknown_flow" });
}
