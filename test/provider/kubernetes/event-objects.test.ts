import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { decodeBrokerSpec } from "../../../contract/events/broker-spec.ts";
import {
  type DeclaredKind,
  type EventObjectStatus,
  type EventObjectsEvent,
  OBJECT_KINDS,
} from "../../../contract/events/event-object.ts";
import { decodeFlowSpec } from "../../../contract/events/flow-spec.ts";
import { decodeSourceSpec } from "../../../contract/events/source-spec.ts";
import { decodeTriggerSpec } from "../../../contract/events/trigger-spec.ts";
import { createLogger } from "../../../kit/log.ts";
import { KubernetesClient } from "../../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { EventObjects } from "../../../provider/backends/kubernetes/event-objects/event-objects.ts";
import { buildCrds } from "../../../provider/backends/kubernetes/resources/crds.ts";
import { decideEventStatus, recordEventObject } from "../../../provider/backends/kubernetes/resources/event-object.ts";
import { KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { KubeServer } from "../../support/kube/server.ts";
import type { Fields } from "../../support/kube/types.ts";

const NAMESPACE = "openfaas-fn";
const CRDS = buildCrds() as unknown as Fields[];
const pathOf = (kind: DeclaredKind) => `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/${kind}s`;
const objectOf = (kind: DeclaredKind, name: string, spec: object) => ({
  apiVersion: "openfaas.com/v1",
  kind: OBJECT_KINDS[kind],
  metadata: { name, namespace: NAMESPACE },
  spec,
});
const TO_FN = { subscriber: { ref: { apiVersion: "openfaas.com/v1", kind: "Function", name: "fn" } } };

/** Everything that a stream has told, as a reader has it. */
class Seen {
  readonly objects = new Map<string, Extract<EventObjectsEvent, { type: "object" }>["object"]>();
  kinds: Extract<EventObjectsEvent, { type: "kinds" }>["kinds"] | undefined;
  readonly #leaving = new AbortController();
  readonly #reading: Promise<void>;

  constructor(store: EventObjects) {
    this.#reading = (async () => {
      for await (const event of store.watch(this.#leaving.signal)) {
        if (event.type === "kinds") this.kinds = event.kinds;
        if (event.type === "removed") this.objects.delete(`${event.object.kind}/${event.object.name}`);
        if (event.type === "object") this.objects.set(`${event.object.kind}/${event.object.name}`, event.object);
      }
    })();
  }

  /** Whether it knows all objects of all kinds. */
  get complete(): boolean {
    return this.kinds !== undefined && Object.values(this.kinds).every((knowledge) => knowledge === "listed");
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.#reading;
  }
}

interface Told {
  readonly facts: unknown;
  readonly message: string;
}

let closing: AbortController;
let ends: (() => Promise<unknown> | unknown)[];
beforeEach(() => {
  closing = new AbortController();
  ends = [];
});
afterEach(async () => {
  closing.abort();
  for (const end of ends.reverse()) await end();
});

async function openKube(crds: readonly Fields[] = CRDS): Promise<KubeServer> {
  const kube = await KubeServer.open({ crds });
  ends.push(() => kube.close());
  return kube;
}

function openObjects(kube: KubeServer, served: (name: string) => boolean = () => true) {
  const told: Told[] = [];
  const tell = (facts: object, message?: string) => void told.push({ facts, message: message ?? "" });
  const access = { server: new URL(kube.url), credentials: async () => ({}) };
  const client = new KubernetesClient(access as ConstructorParameters<typeof KubernetesClient>[0]);
  const objects = new EventObjects({
    client,
    scope: undefined,
    hasNamespace: served,
    ready: Promise.resolve(),
    absentMs: 20,
    log: { ...createLogger("silent"), info: tell as never, warn: tell as never },
    signal: closing.signal,
  });
  ends.push(async () => {
    client.close();
    await objects.close();
  });
  const seen = new Seen(objects);
  ends.push(() => seen.leave());
  return { objects, seen, told };
}

const READY = { type: "Ready", status: "True", reason: "Ready", message: "events are delivered" } as const;

describe("objects that declare events", () => {
  test("are told with their changes, and once more as a whole after the past is forgotten", async () => {
    const kube = await openKube();
    const client = new KubeClient(kube);
    await client.create(pathOf("trigger"), objectOf("trigger", "first", TO_FN));
    const { seen } = openObjects(kube);
    await eventually("all are known", () => seen.complete);
    expect(seen.objects.get("trigger/first")).toMatchObject({ generation: 1, spec: TO_FN });
    await client.create(pathOf("broker"), objectOf("broker", "orders", { maxAge: "1h" }));
    await eventually("another one is told", () => seen.objects.has("broker/orders"));
    await kube.goAway();
    kube.compact();
    await kube.comeBack();
    await client.patch(`${pathOf("trigger")}/first`, { spec: { suspend: true } });
    await client.delete(`${pathOf("broker")}/orders`);
    await eventually("what has happened meanwhile is told", () => !seen.objects.has("broker/orders"), 20_000);
    await eventually("and what happens then", () => seen.objects.get("trigger/first")?.generation === 2, 20_000);
  });

  test("that break a rule are told with the field and the rule, without what they say", async () => {
    const kube = await openKube();
    const client = new KubeClient(kube);
    const { seen } = openObjects(kube);
    await client.create(pathOf("trigger"), objectOf("trigger", "both", { subscriber: { function: "a", sink: "b" } }));
    await client.create(pathOf("source"), objectOf("source", "dotted.name", { type: "cron" }));
    await eventually("both are told", () => seen.objects.size === 2);
    expect(seen.objects.get("trigger/both")).toMatchObject({
      problem: { reason: "Invalid", keeps: true, message: expect.stringContaining("subscriber: must have one of") },
    });
    expect(seen.objects.get("trigger/both")).not.toHaveProperty("spec");
    expect(seen.objects.get("source/dotted.name")?.problem?.message).toContain("metadata.name: must be a DNS label");
  });

  test("of a namespace without functions are not for us", async () => {
    const kube = await openKube();
    const served = new Set<string>();
    const { objects, seen } = openObjects(kube, (name) => served.has(name));
    await new KubeClient(kube).create(pathOf("trigger"), objectOf("trigger", "first", TO_FN));
    await eventually("it is told", () => seen.objects.has("trigger/first"));
    expect(seen.objects.get("trigger/first")?.problem).toMatchObject({ reason: "NamespaceNotServed", keeps: false });
    served.add(NAMESPACE);
    objects.republish();
    await eventually("it counts now", () => seen.objects.get("trigger/first")?.spec !== undefined);
  });

  test("are looked for while the cluster does not have their kinds, of which one line is logged", async () => {
    const kube = await openKube([]);
    const { seen, told } = openObjects(kube);
    await eventually(
      "it is known",
      () => seen.kinds !== undefined && Object.values(seen.kinds).every((is) => is === "absent"),
    );
    expect(told.map(({ message }) => message)).toEqual([expect.stringContaining("does not have the kinds")]);
    const client = new KubeClient(kube);
    for (const crd of CRDS) await client.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
    await eventually("they are there now", () => seen.complete);
    await client.create(pathOf("flow"), objectOf("flow", "steps", { steps: [{ function: "fn" }] }));
    await eventually("and one of them", () => seen.objects.has("flow/steps"));
  });

  test("that may not be looked at are unknown, which is not the same as none", async () => {
    const kube = await openKube();
    kube.faults.answer({ status: 403, matches: ({ resource }) => resource.startsWith("sinks") });
    const { seen, told } = openObjects(kube);
    await eventually("the others are known", () => seen.kinds?.flow === "listed" && told.length > 0);
    expect(seen.kinds?.sink).toBe("unknown");
  });

  test("cost nothing before somebody asks for them", async () => {
    const kube = await openKube();
    const access = { server: new URL(kube.url), credentials: async () => ({}) };
    const client = new KubernetesClient(access as ConstructorParameters<typeof KubernetesClient>[0]);
    const log = createLogger("silent");
    const rest = { scope: undefined, hasNamespace: () => true, ready: Promise.resolve(), absentMs: 20 };
    const objects = new EventObjects({ ...rest, client, log, signal: closing.signal });
    await objects.close();
    client.close();
    expect(kube.faults.requests).toEqual([]);
  });
});

describe("how an object is", () => {
  test("is written when it is new, and by name and uid", async () => {
    const kube = await openKube();
    const client = new KubeClient(kube);
    const { uid } = (await client.create(pathOf("trigger"), objectOf("trigger", "first", TO_FN))).metadata;
    const { objects, seen } = openObjects(kube);
    await eventually("it is told", () => seen.objects.has("trigger/first"));
    const status: EventObjectStatus = {
      kind: "trigger",
      namespace: NAMESPACE,
      name: "first",
      uid,
      generation: 1,
      conditions: [READY],
      fields: { subscriberUri: "/function/fn.openfaas-fn" },
    };
    const outcomes = async (...given: EventObjectStatus[]) =>
      (await objects.report(given)).map(({ outcome }) => outcome);
    expect(await outcomes(status, { ...status, name: "nope" }, { ...status, uid: "other" })).toEqual([
      ...["written", "gone", "gone"],
    ]);
    expect(await outcomes(status)).toEqual(["same"]);
    const written = (await client.get(`${pathOf("trigger")}/first`)).status;
    expect(written).toMatchObject({ observedGeneration: 1, subscriberUri: "/function/fn.openfaas-fn" });
    expect(written.conditions[0]).toMatchObject({ ...READY, observedGeneration: 1 });
    // What is not said any more is taken away, and the time of what stays is kept.
    expect(await outcomes({ ...status, fields: {} })).toEqual(["written"]);
    const later = (await client.get(`${pathOf("trigger")}/first`)).status;
    expect(later.subscriberUri).toBeUndefined();
    expect(later.conditions[0].lastTransitionTime).toBe(written.conditions[0].lastTransitionTime);
    kube.faults.answer({ status: 500, matches: ({ verb }) => verb === "patch" });
    expect(await objects.report([{ ...status, generation: 2 }])).toEqual([
      { kind: "trigger", namespace: NAMESPACE, name: "first", outcome: "failed", error: expect.any(String) },
    ]);
  });

  test.each([
    ["a text", "x"],
    ["a list", []],
    ["conditions that are none", { conditions: "x", path: 1 }],
    ["conditions of nothing", { conditions: [null, 1] }],
  ])("is written over whatever is there: %s", (_what, status) => {
    const record = recordEventObject("broker", { metadata: { name: "a", namespace: NAMESPACE, uid: "u" }, status });
    const asked: EventObjectStatus = {
      kind: "broker",
      namespace: NAMESPACE,
      name: "a",
      uid: "u",
      generation: 1,
      conditions: [READY],
      fields: {},
    };
    expect(decideEventStatus(record.status, asked, new Date()).conditions).toMatchObject([READY]);
  });

  test("keeps the time of a condition whose status stays, and has another one where it changes", () => {
    const asked: EventObjectStatus = {
      kind: "trigger",
      namespace: "a",
      name: "b",
      uid: "u",
      generation: 2,
      conditions: [READY],
      fields: {},
    };
    const [then, now] = [new Date("2026-01-01T00:00:00Z"), new Date("2026-01-02T00:00:00Z")];
    const first = decideEventStatus({}, asked, then);
    expect(decideEventStatus(first, asked, now)).toEqual(first);
    const failing = { ...asked, conditions: [{ ...READY, status: "False" as const }] };
    expect(decideEventStatus(first, failing, now).conditions?.[0]?.lastTransitionTime).toBe("2026-01-02T00:00:00Z");
  });
});

/** What people write, and what the rules make of it; `schema` is what the API server says before that. */
const SPECS: readonly (readonly [name: string, kind: DeclaredKind, spec: object, valid: boolean, schema: boolean])[] = [
  [
    "a broker with limits",
    "broker",
    { maxAge: "1h", maxSize: "64Mi", maxEvents: 10, delivery: { retry: 2 } },
    true,
    true,
  ],
  ["a broker with a field of its own", "broker", { maxSise: "64Mi" }, false, false],
  ["a broker for somebody", "broker", { auth: "me" }, false, false],
  [
    "a trigger of Knative",
    "trigger",
    { broker: "default", filter: { attributes: { type: "a" } }, ...TO_FN },
    true,
    true,
  ],
  [
    "a trigger with all dialects",
    "trigger",
    { filters: [{ any: [{ exact: { type: "a" } }, { cesql: "true" }] }], ...TO_FN },
    true,
    true,
  ],
  [
    "waits as text and number",
    "trigger",
    { ...TO_FN, delivery: { retry: 3, backoffDelay: "PT1S", timeout: 5 } },
    true,
    true,
  ],
  ["a trigger without subscriber", "trigger", {}, false, false],
  ["a trigger with two subscribers", "trigger", { subscriber: { function: "a", sink: "b" } }, false, true],
  ["a reference to something else", "trigger", { subscriber: { ref: { kind: "Pod", name: "a" } } }, false, false],
  [
    "a source with settings",
    "source",
    { type: "cron", schedule: "@hourly", data: { a: [1] }, attributes: { a: 1 } },
    true,
    true,
  ],
  ["a source without type", "source", { schedule: "@hourly" }, false, false],
  ["a sink with a secret", "sink", { type: "kafka", password: { secret: "a", key: "b" } }, true, true],
  [
    "a sequence",
    "flow",
    { steps: [{ ref: { kind: "Function", name: "a" } }, { wait: "1s" }, { wait: { until: "due" } }] },
    true,
    true,
  ],
  [
    "a parallel",
    "flow",
    { branches: [{ filter: { function: "f" }, subscriber: { function: "a" } }], join: 1 },
    true,
    true,
  ],
  [
    "a flow with steps and branches",
    "flow",
    { steps: [{ function: "a" }], branches: [{ subscriber: { function: "a" } }] },
    false,
    true,
  ],
  ["a flow of no steps", "flow", { steps: [] }, false, true],
];

describe("the kinds that are installed", () => {
  const DECODE: Readonly<Record<DeclaredKind, (spec: unknown) => unknown>> = {
    broker: decodeBrokerSpec,
    trigger: (spec) => decodeTriggerSpec(spec),
    source: decodeSourceSpec,
    sink: (spec) => spec,
    flow: (spec) => decodeFlowSpec(spec),
  };

  test("take what the API takes, keep all of it, and refuse what they can", async () => {
    const kube = await openKube();
    const client = new KubeClient(kube);
    for (const [place, [name, kind, spec, valid, schema]] of SPECS.entries()) {
      const object = objectOf(kind, `spec-${place}`, spec);
      const { problem } = recordEventObject(kind, object).object;
      expect({ name, valid: problem === undefined }).toEqual({ name, valid });
      const { status, body } = await client.send("POST", `${pathOf(kind)}?fieldValidation=Strict`, object);
      expect({ name, taken: status === 201, body }).toMatchObject({ name, taken: schema });
      if (!valid) continue;
      expect(DECODE[kind](body.spec)).toEqual(DECODE[kind](spec));
      expect(body.spec).toEqual(spec);
    }
  });

  test("have each field that the API has, and tell of it", () => {
    const kinds = buildCrds().slice(3) as unknown as {
      spec: {
        names: { kind: string };
        versions: { schema: { openAPIV3Schema: { properties: { spec: { properties: object } } } } }[];
      };
    }[];
    const fields = kinds.map(({ spec }) => [
      spec.names.kind,
      Object.entries(spec.versions[0]?.schema.openAPIV3Schema.properties.spec.properties ?? {}),
    ]) as [string, [string, { description?: string }][]][];
    expect(fields.map(([kind]) => kind)).toEqual(["Broker", "Trigger", "Source", "Sink", "Flow"]);
    for (const [kind, known] of fields) {
      for (const [name, { description }] of known) expect(`${kind}.${name}: ${description}`).not.toContain("undefined");
    }
  });
});
