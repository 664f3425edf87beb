import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KnownBrokers } from "../../../events/brokers/known-brokers.ts";
import { type EventEngine, type EventEngineOptions, openEngine } from "../../../events/engine/engine.ts";
import { UriCaller } from "../../../events/engine/uri-caller.ts";
import { openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import type { EventRecord, EventStore, NewEvent } from "../../../events/store/event-store.ts";
import type { ResourceStore } from "../../../events/store/resource-store.ts";
import { type OpenTriggers, openTriggers } from "../../../events/triggers/open-triggers.ts";
import { createLogger } from "../../../kit/log.ts";
import { ANY_TARGET, CallbackTargets } from "../../../kit/outbound/targets.ts";
import { eventually } from "../eventually.ts";
import { FakeFunctions } from "./fake-functions.ts";

export const NAMESPACE = "shop";
export const BROKER = { namespace: NAMESPACE, name: "default" };
const log = createLogger("silent");

type StackOptions = Partial<EventEngineOptions>;

export interface OpenedPlace {
  readonly events: EventStore;
  readonly resources: ResourceStore;
  close(): Promise<void>;
}

/** Where a stack keeps what it has, empty at first. */
export interface StackPlace {
  open(): Promise<OpenedPlace>;
  remove(): Promise<void>;
}

/** In a file below a folder of its own. */
export async function embeddedPlace(): Promise<StackPlace> {
  const folder = mkdtempSync(join(tmpdir(), "faaslane-stack-"));
  return {
    open: () => openEmbeddedEvents({ path: join(folder, "events.db"), log, minFreeBytes: 0 }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A real store with real triggers and a real engine, over functions that are HTTP servers. */
export class EventStack {
  readonly functions: FakeFunctions;
  readonly store: OpenedPlace;
  readonly open: OpenTriggers;
  readonly brokers: KnownBrokers;
  readonly engine: EventEngine;
  readonly #uris: UriCaller;
  #ids = 0;

  private constructor(store: OpenedPlace, functions: FakeFunctions, options: StackOptions) {
    this.store = store;
    this.functions = functions;
    const { events, resources } = store;
    this.brokers = new KnownBrokers({ resources, events, hasNamespace: async () => true, log });
    this.open = openTriggers({ resources, functions, brokers: this.brokers, log });
    const targets = new CallbackTargets(ANY_TARGET);
    this.#uris = new UriCaller({ targets, userAgent: "stack/1", maxAnswerBytes: 4 * 1024 ** 2 });
    this.engine = openEngine({
      store: events,
      ...this.open,
      callFunction: async (call, signal) => {
        const url = functions.urlOf(call.function.name);
        if (url === undefined) return { status: 404, headers: {}, body: Buffer.from("not found"), internal: true };
        return await this.#uris.call(url, call, signal);
      },
      sendToSink: async () => ({ status: 404 }),
      transform: async (_expression, event) => event,
      hasBroker: async (broker) => (await this.brokers.find(broker)) !== undefined,
      targets,
      userAgent: "stack/1",
      concurrency: 200,
      log,
      ...options,
    });
  }

  static async open(
    place: StackPlace,
    options: StackOptions = {},
    functions = new FakeFunctions(),
  ): Promise<EventStack> {
    return new EventStack(await place.open(), functions, options);
  }

  /** Resolves once it counts. */
  async declare(name: string, spec: object): Promise<void> {
    await this.store.resources.put({ kind: "trigger", namespace: NAMESPACE, name, spec });
    await this.open.refresh();
  }

  /** Events that a broker takes. @returns their ids */
  async send(
    given: Partial<NewEvent> & { type?: string; extra?: object; data?: Buffer } = {},
    count = 1,
  ): Promise<string[]> {
    const { type = "order.placed", extra, data = Buffer.from("{}"), ...rest } = given;
    const ids = Array.from({ length: count }, () => `e-${++this.#ids}`);
    await this.store.events.append(
      ids.map((id) => ({
        broker: BROKER,
        event: {
          attributes: { specversion: "1.0", id, source: "/shop", type, datacontenttype: "application/json", ...extra },
          data,
        },
        headers: [],
        hops: 255,
        arrivedAt: Date.now(),
        via: "http",
        ...rest,
      })),
    );
    return ids;
  }

  async record(id: string): Promise<EventRecord> {
    const page = { order: "newest", limit: 1, withData: true } as const;
    const { events } = await this.store.events.list({ namespace: NAMESPACE, id }, page);
    const [record] = events;
    if (!record) throw new Error(`no event has the id ${id}`);
    return record;
  }

  /** The event's record, once it is routed and nothing of it is under way. */
  settled(id: string, deadlineMs = 15_000): Promise<EventRecord> {
    return eventually(
      `event ${id} is settled`,
      async () => {
        const record = await this.record(id);
        const open = record.pending || record.deliveries.some(({ state }) => OPEN.has(state));
        return open ? undefined : record;
      },
      deadlineMs,
      10,
    );
  }

  async close(): Promise<void> {
    await this.engine.close();
    this.open.close();
    this.brokers.close();
    await this.#uris.close();
    await this.store.close();
  }
}

const OPEN = new Set(["waiting", "delivering", "retrying"]);
