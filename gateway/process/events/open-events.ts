import { MAX_TRIGGER_CONCURRENCY } from "../../../contract/events/trigger-spec.ts";
import { KnownBrokers } from "../../../events/brokers/known-brokers.ts";
import { type EventEngine, openEngine } from "../../../events/engine/engine.ts";
import { openFlows } from "../../../events/flows/open-flows.ts";
import { Replays } from "../../../events/ledger/replays.ts";
import { sinkTypes } from "../../../events/sinks/sink-types.ts";
import { Sinks } from "../../../events/sinks/sinks.ts";
import { DocumentSources } from "../../../events/sources/document-sources.ts";
import { FunctionSources } from "../../../events/sources/function-sources.ts";
import { ALWAYS_ACTS, type KnownSource, type SourceLead, SourceRunner } from "../../../events/sources/source-runner.ts";
import { SourceStatuses } from "../../../events/sources/source-statuses.ts";
import { sourceTypes } from "../../../events/sources/source-types.ts";
import { DEFAULT_BROKER_LIMITS } from "../../../events/store/event-store.ts";
import { Transforms } from "../../../events/transforms/transforms.ts";
import { BoundSinks } from "../../../events/triggers/bound-sinks.ts";
import { openTriggers } from "../../../events/triggers/open-triggers.ts";
import { CallbackTargets } from "../../../kit/outbound/targets.ts";
import { within } from "../../../kit/within.ts";
import type { EventsParts } from "../../app.ts";
import { DeliveryLimits } from "../../async/worker/function-limits.ts";
import { snapshotsOf } from "../../async/worker/function-snapshots.ts";
import { TracedCaller } from "../../async/worker/traced-caller.ts";
import type { MeteredSource } from "../../metrics/event-metrics.ts";
import type { FunctionTable } from "../../proxy/function-table.ts";
import { followNatsCredentials } from "../secret-files.ts";
import { callFunctions } from "./call-function.ts";
import { currentVersion } from "./current-version.ts";
import { EventLead } from "./event-lead.ts";
import { EventNamespaces } from "./event-namespaces.ts";
import { eventSecrets } from "./event-secrets.ts";
import type { EventsAtWork, EventsDeps } from "./events-parts.ts";
import { keepObjects } from "./keep-objects.ts";
import { knownFunctions } from "./known-functions.ts";
import type { OpenEvents } from "./lazy-events.ts";
import { type OpenEventStore, openEventStore } from "./open-store.ts";

/** Sources have had their time by then. */
const CLOSE_MS = 1_000;

/**
 * Opens events, and everything that works with them in this process.
 * @throws {StartError} when what is kept cannot be opened
 */
export async function openEvents(deps: EventsDeps): Promise<OpenEvents> {
  const { config, log } = deps;
  const store = await openEventStore(config, deps.secretMountPath, log);
  const closers: (() => Promise<void> | void)[] = [() => store.close()];
  let engine: EventEngine | undefined;
  const close = async () => {
    // What has not come to its end by now is taken away from it, by the store.
    const ended = engine?.close();
    for (const closer of closers.splice(0).reverse()) await closer();
    await ended;
  };
  try {
    const lead = openLead(deps);
    closers.push(() => lead.close());
    const work = openWork(deps, store, lead);
    closers.push(() => work.close());
    if (config.ownWorker) {
      const keeper = keepObjects({ parts: work.parts, lead, feed: deps.objects, table: deps.table, log });
      closers.push(() => keeper.close());
    }
    engine = config.ownWorker ? openDeliveries(deps, work.parts) : undefined;
    const answers = deps.answers ? await openAnswers(deps, work.parts) : NO_ANSWERS;
    return {
      ...answers,
      problem: store.problem,
      stats: async () => {
        const all = await Promise.all(work.namespaces().map((namespace) => store.events.stats(namespace)));
        return all.flat();
      },
      sources: () => work.parts.runner.all().map(meteredSource),
      runs: () => work.parts.flows.runs(),
      drain: async (timeoutMs) => {
        await within(timeoutMs, Promise.all([work.stopSources(), engine?.close()]));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface ClosableLead extends SourceLead {
  close(): Promise<void>;
}

/** Whoever is alone leads; who delivers nothing leads nothing. */
function openLead({ config, secretMountPath, process, log }: EventsDeps): ClosableLead {
  if (!config.ownWorker) return { acts: () => false, onChange: () => () => {}, close: async () => {} };
  if (config.kind === "embedded") return { ...ALWAYS_ACTS, close: async () => {} };
  return new EventLead({ ...config, credentials: followNatsCredentials(secretMountPath), process, log });
}

function openWork(deps: EventsDeps, { events, resources }: OpenEventStore, lead: SourceLead) {
  const { config, table, defaultNamespace, log } = deps;
  const functions = knownFunctions(table);
  const namespaces = new EventNamespaces({ table, list: deps.listNamespaces, defaultNamespace });
  const brokers = new KnownBrokers({
    resources,
    events,
    hasNamespace: (namespace) => namespaces.has(namespace),
    defaults: { ...DEFAULT_BROKER_LIMITS, maxAgeMs: config.maxAgeMs, maxBytes: config.maxBrokerBytes },
    log,
  });
  const replays = new Replays({ store: events, resources, leads: () => lead.acts(), now: Date.now, log });
  replays.start().catch((err: unknown) => log.warn({ err }, "replays cannot be read yet"));
  const transforms = new Transforms({ log });
  // Who delivers nothing answers questions about them all the same.
  const keeps = config.ownWorker;
  const flows = openFlows({
    events,
    resources,
    transforms,
    currentVersion: currentVersion(table),
    keeps,
    log,
    observe: deps.meter.ran,
  });
  const triggers = openTriggers({
    resources,
    functions,
    brokers,
    sets: [replays, flows.triggers],
    log,
    checkTransform: (expression, field) => transforms.check(expression, field),
  });
  const boundSinks = new BoundSinks(functions, resources);
  const sets = [new DocumentSources(resources, log), new FunctionSources(functions)] as const;
  const statuses = config.kind === "jetstream" ? new SourceStatuses(resources, log) : undefined;
  const readSecret = eventSecrets(deps.functionSecretsPath);
  const sinks = new Sinks({
    resources,
    types: sinkTypes(),
    readSecret,
    targets: new CallbackTargets(deps.targets),
    now: Date.now,
    random: Math.random,
  });
  const types = sourceTypes();
  const runner = new SourceRunner({
    sets,
    lead,
    runs: { receiving: deps.answers, fetching: config.ownWorker },
    types,
    store: events,
    resources,
    readSecret,
    hasBroker: async (ref) => (await brokers.find(ref)) !== undefined,
    targets: new CallbackTargets(deps.targets),
    now: Date.now,
    log,
    ...(statuses && { statuses }),
  });
  const parts: EventsAtWork = {
    events,
    resources,
    brokers,
    boundSinks,
    triggers,
    replays,
    flows,
    transforms,
    types,
    runner,
    sinks,
    sinkTypes: sinkTypes(),
    ...(statuses && { statuses }),
  };
  let stopping: Promise<unknown> | undefined;
  const stopSources = () => {
    stopping ??= Promise.all([runner.close(), replays.close()]);
    return stopping;
  };
  return {
    parts,
    namespaces: () => [...new Set([defaultNamespace, ...brokers.namespaces(), ...namespacesOf(table)])],
    stopSources,
    close: async () => {
      await within(CLOSE_MS, stopSources());
      await Promise.all(sets.map((set) => set.close()));
      await sinks.close();
      await flows.close();
      transforms.close();
      triggers.close();
      boundSinks.close();
      brokers.close();
    },
  };
}

function namespacesOf(table: FunctionTable): string[] {
  return [...table.entries()].map(({ namespace }) => namespace);
}

function openDeliveries(deps: EventsDeps, { events, triggers, brokers, transforms, sinks }: EventsAtWork): EventEngine {
  const { config, caller, table, tracer, targets, meter, userAgent, log } = deps;
  return openEngine({
    store: events,
    triggers: triggers.triggers,
    health: triggers.health,
    callFunction: callFunctions(tracer ? new TracedCaller(caller, tracer) : caller),
    capacity: (changed) =>
      new DeliveryLimits({
        functions: snapshotsOf(table),
        perFunction: MAX_TRIGGER_CONCURRENCY,
        changed,
        clock: () => performance.now(),
        random: Math.random,
      }),
    sendToSink: (sink, event, signal) => sinks.send(sink, event, signal),
    transform: (expression, event) => transforms.transform(expression, event),
    hasBroker: async (ref) => (await brokers.find(ref)) !== undefined,
    targets: new CallbackTargets(targets),
    userAgent,
    concurrency: config.concurrency,
    observe: meter.delivered,
    log,
  });
}

const NO_ANSWERS: EventsParts = {
  handle: async (_req, res) => void res.writeHead(404).end(),
  control: (_req, _res, next) => next(),
};

async function openAnswers(deps: EventsDeps, parts: EventsAtWork): Promise<EventsParts> {
  const { answerEvents } = await import("./answer-events.ts");
  return answerEvents(deps, parts);
}

function meteredSource({ source, status }: KnownSource): MeteredSource {
  const { state, events, errors, lag } = status;
  return { id: source.id, type: source.type, state, events, errors, lag };
}
