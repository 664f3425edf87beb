import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { type DeclaredKind, OBJECT_KINDS } from "../../contract/events/event-object.ts";
import type { Answer } from "../kube/client.ts";
import { ObjectStage } from "../support/events/object-stage.ts";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";
import { ROOT } from "../support/platform.ts";
import type { ServerProcess } from "../support/server-process.ts";

let stage: ObjectStage;
let gateway: ServerProcess;

beforeAll(async () => {
  stage = await ObjectStage.open();
  gateway = await stage.gateway("gateway");
  await stage.deployRecorder(gateway, "recorder");
}, 60_000);

afterAll(async () => {
  await stage?.close();
  stage?.account.expectNothingRefused();
});

const ask = async (method: string, path: string, body?: object) => {
  const response = await fetch(gateway.url + path, { method, ...(body && jsonBody(body)) });
  const text = await response.text();
  return { status: response.status, text, code: response.headers.get("x-faaslane-error") };
};
const TO_RECORDER = { ref: { apiVersion: "openfaas.com/v1", kind: "Function", name: "recorder" } };

test("objects declare a broker, a trigger and a source, and say that they are ready", async () => {
  await stage.create("broker", "orders", { maxAge: "1h", delivery: { retry: 2 } });
  await stage.create("trigger", "placed", {
    broker: "orders",
    filter: { attributes: { type: "order.placed" } },
    subscriber: TO_RECORDER,
  });
  await stage.create("source", "clock", { type: "cron", schedule: "* * * * * *", broker: "orders", data: "tick" });
  await stage.create("trigger", "ticks", {
    broker: "orders",
    filters: [{ prefix: { type: "com.faaslane.cron" } }],
    subscriber: TO_RECORDER,
  });
  await stage.condition("broker", "orders", { status: "True" });
  await stage.condition("trigger", "placed", { status: "True", reason: "Ready" });
  await stage.condition("source", "clock", { status: "True" });
  expect(await stage.send(gateway, "orders", "order.placed", "1")).toBe(202);
  await stage.whenSeen(gateway, "recorder", "order.placed 1");
  await stage.whenSeen(gateway, "recorder", /^com\.faaslane\.cron/);
  const { status } = await stage.client.get(stage.pathOf("trigger", "placed"));
  expect(status.subscriberUri).toBe("/function/recorder.openfaas-fn");
  expect(status.conditions.map(({ type, status: is }: Answer) => `${type} ${is}`)).toEqual([
    ...["Ready True", "BrokerReady True", "SubscriberResolved True", "DeadLetterSinkResolved True"],
    ...["DependencyReady True", "SubscriptionReady True"],
  ]);
});

test("what an object declares is told of over the API, and not changed there", async () => {
  const list = JSON.parse((await ask("GET", "/system/triggers")).text) as { name: string; origin: string }[];
  expect(list.find(({ name }) => name === "placed")).toMatchObject({ origin: "object" });
  for (const [path, kind, name] of [
    ["triggers", "Trigger", "placed"],
    ["brokers", "Broker", "orders"],
    ["sources", "Source", "clock"],
  ] as const) {
    const text = expect.stringContaining(`declared by the Kubernetes object ${kind} openfaas-fn/${name}; change that`);
    const refused = { status: 409, text, code: "declared_by_object" };
    const spec = JSON.parse((await ask("GET", `/system/${path}/${name}`)).text).spec;
    expect(await ask("PUT", `/system/${path}/${name}`, spec)).toEqual(refused);
    expect(await ask("DELETE", `/system/${path}/${name}`)).toEqual(refused);
  }
  expect((await ask("POST", "/system/sources/clock/suspend")).code).toBe("declared_by_object");
});

test("an edit counts, one that breaks a rule does not, and says which", async () => {
  await stage.client.patch(stage.pathOf("trigger", "placed"), {
    spec: { filter: { attributes: { type: "order.paid" } } },
  });
  await stage.condition("trigger", "placed", { status: "True" });
  expect(await stage.send(gateway, "orders", "order.paid", "2")).toBe(202);
  await stage.whenSeen(gateway, "recorder", "order.paid 2");
  await stage.client.patch(stage.pathOf("trigger", "placed"), { spec: { filters: [{ cesql: "type =" }] } });
  const { message } = await stage.condition("trigger", "placed", { status: "False", reason: "Invalid" });
  expect(message).toMatch(/^filters\[0\]\.cesql: .*; what was declared before goes on$/);
  expect(await stage.send(gateway, "orders", "order.paid", "3")).toBe(202);
  await stage.whenSeen(gateway, "recorder", "order.paid 3");
  await stage.client.patch(stage.pathOf("trigger", "placed"), { spec: { filters: null } });
  await stage.condition("trigger", "placed", { status: "True" });
});

test("what an object names that is not there is told, until it is there", async () => {
  await stage.create("trigger", "early", { broker: "later", subscriber: { function: "nobody" } });
  const ready = await stage.condition("trigger", "early", { status: "False", reason: "NoBroker" });
  expect(ready.message).toBe("broker later does not exist in namespace openfaas-fn");
  await stage.create("broker", "later", {});
  await stage.condition("trigger", "early", { status: "False", reason: "NoFunction" });
  await stage.condition("trigger", "early", { status: "True" }, "BrokerReady");
});

test("of a document of the API and an object of that name, the older counts", async () => {
  const spec = { broker: "orders", subscriber: { function: "recorder" } };
  expect((await ask("PUT", "/system/triggers/mine", spec)).status).toBe(201);
  await stage.create("trigger", "mine", { broker: "orders", subscriber: TO_RECORDER });
  const { message } = await stage.condition("trigger", "mine", { status: "False", reason: "Taken" });
  expect(message).toContain("trigger mine was declared over the API before; remove it there");
  expect(JSON.parse((await ask("GET", "/system/triggers/mine")).text)).toMatchObject({ origin: "trigger", spec });
  expect((await ask("DELETE", "/system/triggers/mine")).status).toBe(204);
  await stage.condition("trigger", "mine", { status: "True" });
  // The same as an object says is the object's.
  await stage.client.delete(stage.pathOf("trigger", "mine"));
  const isGone = async () => (await ask("GET", "/system/triggers/mine")).status === 404;
  await eventually("it is gone", isGone, 20_000);
  expect((await ask("PUT", "/system/triggers/mine", spec)).status).toBe(201);
  await stage.create("trigger", "mine", spec);
  await stage.condition("trigger", "mine", { status: "True" });
});

test("a flow and a sink are declared by objects too, and gone with them", async () => {
  await stage.create("sink", "partner", { type: "webhook", url: "https://partner.example/hooks" });
  await stage.create("flow", "steps", { broker: "orders", steps: [{ function: "recorder" }, { sink: "partner" }] });
  await stage.condition("sink", "partner", { status: "True" });
  await stage.condition("flow", "steps", { status: "True" }, "SubscribersResolved");
  for (const kind of ["flow", "sink", "source"] as const) {
    const name = { flow: "steps", sink: "partner", source: "clock" }[kind];
    await stage.client.delete(stage.pathOf(kind, name));
    const isGone = async () => (await ask("GET", `/system/${kind}s/${name}`)).status === 404;
    await eventually(`${kind} is gone`, isGone, 20_000);
  }
});

test("the examples of docs/kubernetes-events.md can be applied as they are written", async () => {
  const text = await readFile(join(ROOT, "docs/kubernetes-events.md"), "utf8");
  const blocks = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, block]) => block as string);
  const objects = blocks.flatMap((block) => parseAllDocuments(block).map((each) => each.toJS() as Answer));
  expect(objects.map(({ kind }) => kind)).toEqual(["Broker", "Trigger", "Source", "Sink", "Flow"]);
  for (const name of ["ship", "lost", "check"]) await stage.deployRecorder(gateway, name);
  const ofKind = (kind: string) =>
    (Object.entries(OBJECT_KINDS) as [DeclaredKind, string][]).find(([, each]) => each === kind)?.[0] as DeclaredKind;
  for (const object of objects) {
    const path = stage.pathOf(ofKind(object.kind), object.metadata.name);
    await stage.client.apply(path, object, "kubectl", true);
  }
  for (const { kind, metadata } of objects) await stage.condition(ofKind(kind), metadata.name, { status: "True" });
  expect(await stage.send(gateway, "orders", "order.placed", "docs")).toBe(202);
  await stage.whenSeen(gateway, "ship", "order.placed docs");
  await stage.whenSeen(gateway, "check", "order.placed docs");
});
