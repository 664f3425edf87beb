import { beforeEach, describe, expect, test } from "@jest/globals";
import { FaasError } from "../../contract/errors.ts";
import type { EventObject, EventObjectRef, EventObjectStatus, KnownKinds } from "../../contract/events/event-object.ts";
import type { Declaration } from "../../events/declare/declaration.ts";
import { ObjectDocuments } from "../../events/objects/object-documents.ts";
import { ObjectMirror } from "../../events/objects/object-mirror.ts";
import { StatusWriter } from "../../events/objects/status-writer.ts";
import { createLogger } from "../../kit/log.ts";
import { FakeResources } from "../support/events/fake-stores.ts";

const log = createLogger("silent");
const NS = "shop";
const LISTED: KnownKinds = { broker: "listed", trigger: "listed", source: "listed", sink: "listed", flow: "listed" };
const NEVER = new AbortController().signal;

const object = (own: Partial<EventObject> = {}): EventObject => ({
  kind: "trigger",
  namespace: NS,
  name: "a",
  uid: "u1",
  generation: 1,
  spec: { subscriber: { function: "f" } },
  ...own,
});

let resources: FakeResources;
let mirror: ObjectMirror;
let documents: ObjectDocuments;
/** What the cluster itself says is gone. */
let gone: Set<string>;
let refusal: FaasError | undefined;
let asked: EventObjectRef[];
let now: number;

beforeEach(() => {
  resources = new FakeResources();
  mirror = new ObjectMirror();
  [gone, asked, refusal, now] = [new Set(), [], undefined, 0];
  const declarations = (kind: EventObject["kind"]) => ({
    declare: async ({ namespace, name, spec, before, origin }: Declaration) => {
      if (refusal) throw refusal;
      await resources.put({ kind, namespace, name, spec, ...(origin && { origin }) }, before?.version ?? 0);
    },
    remove: (ref: { namespace: string; name: string }) => resources.remove({ kind, ...ref }),
    // Of the same realm as what the store gives.
    written: (spec: unknown) => structuredClone(spec),
  });
  documents = new ObjectDocuments({
    resources,
    declarations: {
      broker: declarations("broker"),
      trigger: declarations("trigger"),
      source: declarations("source"),
      sink: declarations("sink"),
      flow: declarations("flow"),
    },
    gone: async (refs) => {
      asked.push(...refs);
      return refs.filter(({ uid }) => gone.has(uid));
    },
    refresh: async () => {},
    now: () => now,
    log,
  });
});

/** A stream that tells of these. */
function tell(objects: readonly EventObject[], kinds: Partial<KnownKinds> = {}): void {
  mirror.begin();
  for (const each of objects) mirror.apply({ type: "object", object: each });
  mirror.apply({ type: "kinds", kinds: { ...LISTED, ...kinds } });
}
const reconcile = () => documents.reconcile(mirror, NEVER);
const document = async () => await resources.get({ kind: "trigger", namespace: NS, name: "a" });

describe("documents of objects", () => {
  test("are what objects say, and say whose they are", async () => {
    tell([object()]);
    await reconcile();
    expect(await document()).toMatchObject({ spec: object().spec, origin: { uid: "u1", generation: 1 } });
    const before = resources.documents.size;
    await reconcile();
    expect([resources.documents.size, (await document())?.version]).toEqual([before, 1]);
    tell([object({ generation: 2, spec: { subscriber: { function: "g" } } })]);
    await reconcile();
    expect(await document()).toMatchObject({ spec: { subscriber: { function: "g" } }, origin: { generation: 2 } });
  });

  test("go only when the cluster itself says that their object is gone", async () => {
    tell([object()]);
    await reconcile();
    // A provider that is behind has not seen it yet.
    tell([]);
    await reconcile();
    expect(asked).toEqual([{ kind: "trigger", namespace: NS, name: "a", uid: "u1" }]);
    expect(await document()).toBeDefined();
    gone.add("u1");
    await reconcile();
    expect(await document()).toBeUndefined();
  });

  test("stay while nobody can say which objects there are", async () => {
    tell([object()]);
    await reconcile();
    gone.add("u1");
    tell([], { trigger: "unknown" });
    await reconcile();
    expect([await document(), asked]).toEqual([expect.anything(), []]);
    // A stream that has begun, and has not told all.
    tell([object()]);
    mirror.begin();
    await reconcile();
    expect(await document()).toBeDefined();
    tell([], { trigger: "absent" });
    await reconcile();
    expect(await document()).toBeUndefined();
  });

  test("stay when the cluster does not answer whether objects are gone", async () => {
    tell([object()]);
    await reconcile();
    tell([]);
    asked.push = () => {
      throw new FaasError("unavailable", "the Kubernetes API cannot be reached");
    };
    await expect(reconcile()).rejects.toMatchObject({ kind: "unavailable" });
    expect(await document()).toBeDefined();
  });

  test("do not go back to what an older object or generation said", async () => {
    tell([object({ uid: "u2", generation: 5 })]);
    await reconcile();
    tell([object({ uid: "u1", generation: 9 })]);
    await reconcile();
    expect(await document()).toMatchObject({ origin: { uid: "u2", generation: 5 } });
    tell([object({ uid: "u2", generation: 4 })]);
    await reconcile();
    expect(await document()).toMatchObject({ origin: { generation: 5 } });
    // Made anew under the same name.
    gone.add("u2");
    tell([object({ uid: "u3", generation: 1 })]);
    await reconcile();
    expect(await document()).toMatchObject({ origin: { uid: "u3", generation: 1 } });
  });

  test("that the API has declared stay as they are, unless they say the same", async () => {
    await resources.put({ kind: "trigger", namespace: NS, name: "a", spec: { subscriber: { function: "other" } } });
    tell([object()]);
    await reconcile();
    expect(await document()).not.toHaveProperty("origin");
    expect(documents.problemOf(object())).toMatchObject({ reason: "Taken" });
    await resources.put({ kind: "trigger", namespace: NS, name: "a", spec: object().spec });
    await reconcile();
    expect(await document()).toMatchObject({ origin: { uid: "u1" } });
    expect(documents.problemOf(object())).toBeUndefined();
  });

  test("that an object gets wrong stay as they were, and what is wrong is tried no more", async () => {
    tell([object()]);
    await reconcile();
    refusal = new FaasError("invalid", "trigger: filters[0]: no");
    tell([object({ generation: 2 })]);
    await reconcile();
    expect(documents.problemOf(object({ generation: 2 }))).toMatchObject({ reason: "Invalid", keeps: true });
    expect(await document()).toMatchObject({ origin: { generation: 1 } });
    refusal = undefined;
    now = 1e9;
    await reconcile();
    expect(await document()).toMatchObject({ origin: { generation: 1 } });
    tell([object({ generation: 3 })]);
    await reconcile();
    expect(await document()).toMatchObject({ origin: { generation: 3 } });
    expect(documents.problemOf(object({ generation: 3 }))).toBeUndefined();
  });

  test.each([
    ["there are too many", new FaasError("unprocessable", "trigger: a namespace has at most 1000 triggers"), "TooMany"],
    ["something nobody foresaw fails", new TypeError("x is not a function"), "Failed"],
  ])("are tried again after a while when %s, and others go on", async (_what, error, reason) => {
    refusal = error as FaasError;
    tell([object(), object({ name: "b" })]);
    await reconcile();
    expect(documents.problemOf(object())).toMatchObject({ reason });
    refusal = undefined;
    await reconcile();
    expect(await document()).toBeUndefined();
    now = 60_000;
    await reconcile();
    expect(resources.documents.size).toBe(2);
  });

  test("of a namespace that is not for functions any more are removed", async () => {
    tell([object()]);
    await reconcile();
    const problem = { reason: "NamespaceNotServed", message: "shop is no namespace of functions", keeps: false };
    const { spec: _, ...rest } = object();
    tell([{ ...rest, problem }]);
    await reconcile();
    expect(await document()).toBeUndefined();
  });
});

describe("statuses", () => {
  const status = (own: Partial<EventObjectStatus> = {}, reason = "Ready"): EventObjectStatus => ({
    kind: "source",
    namespace: NS,
    name: "a",
    uid: "u1",
    generation: 1,
    fields: {},
    conditions: [{ type: "Ready", status: reason === "Ready" ? "True" : "False", reason, message: "m" }],
    ...own,
  });
  let sent: EventObjectStatus[][];
  let outcome: "written" | "failed" | "gone";
  let writer: StatusWriter;
  beforeEach(() => {
    [sent, outcome, now] = [[], "written", 0];
    const report = async (statuses: readonly EventObjectStatus[]) => {
      sent.push([...statuses]);
      return statuses.map(({ kind, namespace, name }) => ({ kind, namespace, name, outcome }));
    };
    writer = new StatusWriter({ report, now: () => now, log });
  });
  const write = (...statuses: EventObjectStatus[]) => writer.write(statuses, NEVER);

  test("are written when they change, at once where somebody may wait for it", async () => {
    await write(status());
    await write(status());
    expect(sent).toHaveLength(1);
    await write(status({ generation: 2 }));
    await write(status({ generation: 2 }, "Failing"));
    expect(sent).toHaveLength(3);
    // The time of its last event is nothing that anybody waits for.
    for (let second = 0; second < 60; second++) {
      now = second * 1000;
      await write(status({ generation: 2, fields: { lastEventTime: `${second}` } }, "Failing"));
    }
    expect(sent.length).toBeLessThan(6);
  });

  test.each(["failed", "gone"] as const)(
    "that are answered with %s are tried again, but not at once",
    async (given) => {
      outcome = given;
      await write(status());
      await write(status());
      expect(sent).toHaveLength(1);
      now = 6_000;
      await write(status());
      expect(sent).toHaveLength(2);
    },
  );

  test("go in pages that the provider takes", async () => {
    await write(...Array.from({ length: 450 }, (_, n) => status({ name: `s-${n}` })));
    expect(sent.map(({ length }) => length)).toEqual([200, 200, 50]);
  });
});
