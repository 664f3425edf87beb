import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseJson } from "../../../contract/decode.ts";
import {
  type DeclaredKind,
  decodeEventObjectRefs,
  decodeEventObjectStatuses,
  decodeEventObjectsEvent,
  OBJECT_KINDS,
} from "../../../contract/events/event-object.ts";
import { KnownBrokers } from "../../../events/brokers/known-brokers.ts";
import { openFlows } from "../../../events/flows/open-flows.ts";
import { sinkTypes } from "../../../events/sinks/sink-types.ts";
import { ALWAYS_ACTS } from "../../../events/sources/source-runner.ts";
import { sourceTypes } from "../../../events/sources/source-types.ts";
import { openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import type { ResourceStore } from "../../../events/store/resource-store.ts";
import { Transforms } from "../../../events/transforms/transforms.ts";
import { openTriggers } from "../../../events/triggers/open-triggers.ts";
import type { EventsAtWork } from "../../../gateway/process/events/events-parts.ts";
import { keepObjects } from "../../../gateway/process/events/keep-objects.ts";
import { createLogger } from "../../../kit/log.ts";
import { KubernetesClient } from "../../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { EventObjects } from "../../../provider/backends/kubernetes/event-objects/event-objects.ts";
import { buildCrds } from "../../../provider/backends/kubernetes/resources/crds.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../eventually.ts";
import { KubeServer } from "../kube/server.ts";
import type { Fields } from "../kube/types.ts";
import { FakeFunctions } from "./fake-functions.ts";

export const NAMESPACE = "openfaas-fn";
const WITHIN_MS = 60_000;
const log = createLogger("silent");

/** The chart's kinds, which take any spec here. */
function lenientCrds(): Fields[] {
  const crds = structuredClone(buildCrds()) as unknown as Answer[];
  for (const { spec } of crds) {
    const { properties } = spec.versions[0].schema.openAPIV3Schema;
    properties.spec = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  }
  return crds as Fields[];
}

/** What there is between a cluster and the documents of events, in this process, with what is told written out as between processes. */
export class ObjectRig {
  readonly kube: KubeServer;
  readonly client: KubeClient;
  readonly resources: ResourceStore;
  readonly objects: EventObjects;
  readonly #ends: (() => Promise<unknown> | unknown)[];

  private constructor(
    kube: KubeServer,
    resources: ResourceStore,
    objects: EventObjects,
    ends: (() => Promise<unknown> | unknown)[],
  ) {
    this.kube = kube;
    this.client = new KubeClient(kube);
    this.resources = resources;
    this.objects = objects;
    this.#ends = ends;
  }

  static async open(): Promise<ObjectRig> {
    const kube = await KubeServer.open({ crds: lenientCrds() });
    const folder = mkdtempSync(join(tmpdir(), "faaslane-objects-"));
    const store = await openEmbeddedEvents({ path: join(folder, "events.db"), log, minFreeBytes: 0 });
    const { events, resources } = store;
    const transforms = new Transforms({ log });
    const brokers = new KnownBrokers({ resources, events, hasNamespace: async () => true, log });
    const flows = openFlows({ events, resources, transforms, keeps: false, log });
    const checkTransform = (expression: string, field: string) => transforms.check(expression, field);
    const functions = new FakeFunctions();
    const triggers = openTriggers({ resources, functions, brokers, sets: [flows.triggers], log, checkTransform });
    const closing = new AbortController();
    const access = { server: new URL(kube.url), credentials: async () => ({}) };
    const client = new KubernetesClient(access as ConstructorParameters<typeof KubernetesClient>[0]);
    const objects = new EventObjects({
      client,
      scope: NAMESPACE,
      hasNamespace: () => true,
      ready: Promise.resolve(),
      absentMs: 1_000,
      log,
      signal: closing.signal,
    });
    const overTheWire = <T>(value: unknown, decode: (value: unknown) => T) =>
      decode(parseJson(JSON.stringify(value), "told"));
    const parts = {
      events,
      resources,
      brokers,
      triggers,
      flows,
      transforms,
      types: sourceTypes(),
      sinkTypes: sinkTypes(),
      runner: { find: () => undefined },
      sinks: { status: () => ({ state: "idle", sent: 0, errors: 0 }) },
    } as unknown as EventsAtWork;
    const keeper = keepObjects({
      parts,
      lead: ALWAYS_ACTS,
      feed: {
        follow: async (sink, signal) => {
          sink.begin();
          for await (const event of objects.watch(signal)) sink.apply(overTheWire(event, decodeEventObjectsEvent));
        },
        gone: async (refs) => await objects.gone(overTheWire({ objects: refs }, decodeEventObjectRefs)),
        report: async (statuses) => await objects.report(overTheWire({ statuses }, decodeEventObjectStatuses)),
      },
      table: { find: () => undefined, whenSynced: Promise.resolve() } as never,
      log,
    });
    const ends = [
      () => rmSync(folder, { recursive: true, force: true }),
      () => kube.close(),
      () => store.close(),
      () => brokers.close(),
      () => triggers.close(),
      () => flows.close(),
      () => transforms.close(),
      () => objects.close(),
      () => client.close(),
      () => closing.abort(),
      () => keeper.close(),
    ];
    return new ObjectRig(kube, resources, objects, ends);
  }

  pathOf(kind: DeclaredKind, name = ""): string {
    const plural = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/${kind}s`;
    return name === "" ? plural : `${plural}/${name}`;
  }

  async create(kind: DeclaredKind, name: string, spec: unknown): Promise<Answer> {
    const metadata = { name, namespace: NAMESPACE };
    const object = { apiVersion: "openfaas.com/v1", kind: OBJECT_KINDS[kind], metadata, spec };
    return await this.client.create(this.pathOf(kind), object);
  }

  /** Its condition `Ready`, once it says something of what the object is now. */
  async ready(kind: DeclaredKind, name: string, reason?: string): Promise<Answer> {
    return await eventually(
      `${kind} ${name} says how it is${reason === undefined ? "" : `: ${reason}`}`,
      async () => {
        const { metadata, status } = await this.client.get(this.pathOf(kind, name));
        if (status?.observedGeneration !== metadata.generation) return undefined;
        const ready = status.conditions.find(({ type }: Answer) => type === "Ready");
        return ready.reason !== "Pending" && (reason === undefined || ready.reason === reason) ? ready : undefined;
      },
      WITHIN_MS,
    );
  }

  async declared(kind: DeclaredKind, name: string): Promise<boolean> {
    return (await this.resources.get({ kind, namespace: NAMESPACE, name })) !== undefined;
  }

  async close(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}
