import type { Express, Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { RUN_STATES, type RunState } from "../../contract/events/flow-run.ts";
import { PATHS } from "../../contract/paths.ts";
import { queryText, route, sendJson } from "../../kit/respond.ts";
import { resumeStoppedRun } from "../flows/resume-run.ts";
import { cancelRun, type Run } from "../flows/run.ts";
import { buildRunReport, buildRunSummary, type FindEvent } from "../flows/run-report.ts";
import { RunStore } from "../flows/run-store.ts";
import { type EventRedaction, redactRecord } from "../ledger/redact-event.ts";
import { type FlowRouteDeps, workingFlow } from "./flows.ts";
import { readAskedNamespace } from "./names.ts";

export interface FlowRunRouteDeps extends FlowRouteDeps {
  /** What is not shown of events. */
  readonly redaction: EventRedaction;
}

const RUN_ID = /^[a-z0-9-]{1,40}\.[0-9a-f]{20}$/;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

/** `/system/flow-runs`: what became of runs; ends them, and has them go on. */
export function addFlowRunRoutes(app: Express, deps: FlowRunRouteDeps): void {
  const { authorized } = deps;
  const one = `${PATHS.flowRuns}/:id`;
  route(app, PATHS.flowRuns, { GET: [authorized, listRoute(deps)] });
  route(app, one, { GET: [authorized, showRoute(deps)] });
  route(app, `${one}/cancel`, { POST: [authorized, cancelRoute(deps)] });
  route(app, `${one}/resume`, { POST: [authorized, resumeRoute(deps)] });
}

/** Newest first. */
function listRoute(deps: FlowRunRouteDeps): RequestHandler {
  return async (req, res) => {
    const namespace = readAskedNamespace(req, deps.defaultNamespace);
    const { flow, state, limit, after } = readQuery(req);
    const runs = await new RunStore(deps.resources).list(namespace);
    const chosen = runs
      .filter(({ run }) => (flow === undefined || run.flow === flow) && (state === undefined || run.state === state))
      .sort((one, other) => other.run.startedAt - one.run.startedAt || (one.name < other.name ? -1 : 1));
    const from = after === undefined ? 0 : chosen.findIndex(({ name }) => name === after) + 1;
    if (after !== undefined && from === 0) throw new FaasError("invalid", "after: is no run of this list any more");
    const page = chosen.slice(from, from + limit);
    const now = nowOf(deps);
    const items = page.map(({ name, run }) => buildRunSummary(namespace, name, run, now));
    const next = chosen.length > from + limit ? page.at(-1)?.name : undefined;
    sendJson(res.set("Cache-Control", "no-store"), { items, ...(next !== undefined && { next }) });
  };
}

interface RunQuery {
  readonly flow: string | undefined;
  readonly state: RunState | undefined;
  readonly limit: number;
  readonly after: string | undefined;
}

function readQuery(req: Request): RunQuery {
  const given = queryText(req, "state");
  const state = RUN_STATES.find((each) => each === given);
  if (given !== undefined && state === undefined) {
    throw new FaasError("invalid", `state: must be one of ${RUN_STATES.join(", ")}`);
  }
  const limit = queryText(req, "limit") ?? String(DEFAULT_LIMIT);
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_LIMIT) {
    throw new FaasError("invalid", `limit: must be a whole number from 1 to ${MAX_LIMIT}`);
  }
  return { flow: queryText(req, "flow"), state, limit: Number(limit), after: queryText(req, "after") };
}

function showRoute(deps: FlowRunRouteDeps): RequestHandler {
  return async (req, res) => {
    const { namespace, id } = addressOf(deps, req);
    const run = await found(deps, namespace, id);
    const plan = deps.flows.find(namespace, run.flow)?.plan;
    const find = findIn(deps, namespace);
    const report = await buildRunReport({ namespace, id, run, plan, find, now: nowOf(deps) });
    sendJson(res.set("Cache-Control", "no-store"), report);
  };
}

/** What is under way at a function goes on there; nothing follows from it. */
function cancelRoute(deps: FlowRunRouteDeps): RequestHandler {
  return async (req, res) => {
    const { namespace, id } = addressOf(deps, req);
    const now = nowOf(deps);
    const run = await new RunStore(deps.resources).change(namespace, id, (run) => cancelRun(run, now));
    if (!run) throw unknownRun(id);
    sendJson(res, buildRunSummary(namespace, id, run, now));
  };
}

function resumeRoute(deps: FlowRunRouteDeps): RequestHandler {
  return async (req, res) => {
    const { namespace, id } = addressOf(deps, req);
    const { flow } = await found(deps, namespace, id);
    const steps = await workingFlow(deps, { kind: "flow", namespace, name: flow });
    const run = await resumeStoppedRun(steps, deps.events, id);
    sendJson(res, buildRunSummary(namespace, id, run, nowOf(deps)), 202);
  };
}

function addressOf({ defaultNamespace }: FlowRunRouteDeps, req: Request) {
  const { id } = req.params;
  const namespace = readAskedNamespace(req, defaultNamespace);
  if (typeof id !== "string" || !RUN_ID.test(id)) throw unknownRun(String(id).slice(0, 80));
  return { namespace, id };
}

async function found({ resources }: FlowRunRouteDeps, namespace: string, id: string): Promise<Run> {
  const run = await new RunStore(resources).get(namespace, id);
  if (!run) throw unknownRun(id);
  return run;
}

function findIn({ events, redaction }: FlowRunRouteDeps, namespace: string): FindEvent {
  return async (ref) => {
    const found = await events.find(namespace, ref);
    if (!found) return undefined;
    const record = redactRecord(found, redaction);
    const text = textOf(record.event.event.data);
    return { record, ...(text !== undefined && { text }) };
  };
}

function textOf(data: Buffer | undefined): string | undefined {
  if (data === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    return undefined;
  }
}

function nowOf({ now = Date.now }: FlowRunRouteDeps): number {
  return now();
}

function unknownRun(id: string): FaasError {
  return new FaasError("notFound", `there is no run ${id}`, { code: "unknown_run" });
}
