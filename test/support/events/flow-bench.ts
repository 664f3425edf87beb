import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CloudEvent } from "../../../events/codec/cloud-event.ts";
import { encodeBinary } from "../../../events/codec/http.ts";
import { type EventEngine, openEngine } from "../../../events/engine/engine.ts";
import type { EventAnswer, EventCall } from "../../../events/engine/ports.ts";
import { type OpenFlows, openFlows } from "../../../events/flows/open-flows.ts";
import type { Run } from "../../../events/flows/run.ts";
import { RunStore } from "../../../events/flows/run-store.ts";
import { type EmbeddedEvents, openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import { Transforms } from "../../../events/transforms/transforms.ts";
import { type OpenTriggers, openTriggers } from "../../../events/triggers/open-triggers.ts";
import { EventMeter } from "../../../gateway/metrics/event-meter.ts";
import { ANY_TARGET, CallbackTargets } from "../../../kit/outbound/targets.ts";
import { eventually } from "../eventually.ts";

export const SILENT = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
const NAMESPACE = "openfaas-fn";

/** What a function answers. Text is a body of JSON, an event is one, and a number a status without anything. */
export type FunctionAnswer = string | CloudEvent | number | { readonly status: number; readonly body: string };
export type TestFunction = (call: ReceivedCall) => FunctionAnswer | Promise<FunctionAnswer>;

/** A call as a function sees it. */
export interface ReceivedCall {
  readonly name: string;
  readonly version: string | undefined;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface FlowBenchOptions {
  readonly functions: Readonly<Record<string, TestFunction>>;
  readonly currentVersion?: (name: string) => string | undefined;
  readonly now?: () => number;
  readonly maxUnderWay?: number;
  /** Where the file is; one of its own when absent. */
  readonly folder?: string;
  /** Other stores than those in a file. */
  readonly openStores?: () => Promise<EmbeddedEvents>;
  /** Between the stores and those who use them. */
  readonly between?: (stores: EmbeddedEvents) => EmbeddedEvents;
}

/** Flows on a real store and engine, with functions in this process. */
export class FlowBench {
  readonly calls: ReceivedCall[] = [];
  readonly runs: RunStore;
  readonly meter = new EventMeter();
  readonly stores: EmbeddedEvents;
  readonly flows: OpenFlows;
  readonly transforms: Transforms;
  readonly #triggers: OpenTriggers;
  readonly #engine: EventEngine;
  readonly #folder: string;
  readonly #keeps: boolean;

  private constructor(stores: EmbeddedEvents, folder: string, options: FlowBenchOptions) {
    this.#folder = folder;
    this.#keeps = options.folder !== undefined;
    this.stores = stores;
    this.transforms = new Transforms({ log: SILENT });
    this.runs = new RunStore(stores.resources);
    const { currentVersion, now } = options;
    this.flows = openFlows({
      ...stores,
      transforms: this.transforms,
      ...(currentVersion && { currentVersion: ({ name }) => currentVersion(name) }),
      ...(now && { now }),
      observe: this.meter.ran,
      ...(options.maxUnderWay !== undefined && { maxUnderWay: options.maxUnderWay, lookMs: 20 }),
      log: SILENT,
    });
    this.#triggers = openTriggers({
      resources: stores.resources,
      functions: { whenSynced: Promise.resolve(), entries: () => [], onChange: () => () => {} },
      brokers: { deliveryOf: () => undefined, read: async () => {}, onChange: () => () => {} },
      sets: [this.flows.triggers],
      log: SILENT,
    });
    this.#engine = openEngine({
      store: stores.events,
      triggers: this.#triggers.triggers,
      health: this.#triggers.health,
      callFunction: (call) => this.#call(call, options.functions),
      sendToSink: async () => ({ status: 200 }),
      transform: (expression, event) => this.transforms.transform(expression, event),
      hasBroker: async () => true,
      targets: new CallbackTargets(ANY_TARGET),
      userAgent: "test",
      concurrency: 50,
      log: SILENT,
      ...(now && { now }),
    });
  }

  static async open(options: FlowBenchOptions): Promise<FlowBench> {
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), "flows-"));
    const inFile = () => openEmbeddedEvents({ path: join(folder, "events.db"), log: SILENT, minFreeBytes: 0 });
    const stores = await (options.openStores ?? inFile)();
    const bench = new FlowBench(options.between?.(stores) ?? stores, folder, options);
    await bench.#engine.ready;
    return bench;
  }

  async #call(call: EventCall, functions: FlowBenchOptions["functions"]): Promise<EventAnswer> {
    const { name } = call.function;
    const headers = Object.fromEntries(call.headers.map(([key, value]) => [key.toLowerCase(), value]));
    const received = { name, version: call.version, path: call.path, headers, text: call.body.toString() };
    this.calls.push(received);
    const handler = functions[name];
    if (!handler) return { status: 404, headers: {}, body: Buffer.from("no such function"), internal: true };
    return answerOf(await handler(received));
  }

  /** Declares a flow, which counts when it resolves. */
  async declare(name: string, spec: object): Promise<void> {
    await this.stores.resources.put({ kind: "flow", namespace: NAMESPACE, name, spec });
    await this.flows.triggers.refresh();
  }

  /** Sends an event to a broker. @param once as of the store */
  async send(
    data: unknown,
    attributes: Record<string, string> = {},
    broker = "default",
    once?: string,
  ): Promise<string> {
    const id = once ?? Math.random().toString(36).slice(2);
    const event = {
      attributes: {
        specversion: "1.0",
        id,
        source: "/test",
        type: "order",
        datacontenttype: "application/json",
        ...attributes,
      },
      data: Buffer.from(JSON.stringify(data)),
    };
    const [appended] = await this.stores.events.append([
      {
        broker: { namespace: NAMESPACE, name: broker },
        event,
        headers: [],
        hops: 255,
        arrivedAt: Date.now(),
        via: "http",
        ...(once !== undefined && { once }),
      },
    ]);
    return appended?.ref as string;
  }

  async all(flow?: string): Promise<(Run & { readonly name: string })[]> {
    const runs = await this.runs.list(NAMESPACE);
    return runs.filter(({ run }) => flow === undefined || run.flow === flow).map(({ name, run }) => ({ name, ...run }));
  }

  /** The only run, once it has ended. */
  ended(flow?: string): Promise<Run & { readonly name: string }> {
    return eventually("the run ends", async () => {
      const [run] = await this.all(flow);
      if (!run || run.state === "running") throw new Error(`it is ${JSON.stringify(run)}`);
      return run;
    });
  }

  /** Data of the event that came out of a run. */
  async result(run: Run): Promise<unknown> {
    const record = run.result && (await this.stores.events.find(NAMESPACE, run.result.ref));
    const data = record?.event.event.data;
    return data && JSON.parse(data.toString());
  }

  names(): string[] {
    return this.calls.map(({ name }) => name);
  }

  async close(): Promise<void> {
    await this.#engine.close();
    this.#triggers.close();
    await this.flows.close();
    this.transforms.close();
    await this.stores.close();
    if (!this.#keeps) rmSync(this.#folder, { recursive: true, force: true });
  }
}

function answerOf(answer: FunctionAnswer): EventAnswer {
  if (typeof answer === "number") return { status: answer, headers: {}, body: Buffer.alloc(0) };
  if (typeof answer === "string") {
    return { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from(answer) };
  }
  if ("status" in answer) {
    return { status: answer.status, headers: { "content-type": "application/json" }, body: Buffer.from(answer.body) };
  }
  const { headers, body } = encodeBinary(answer);
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { status: 200, headers: Object.fromEntries(lower), body };
}
