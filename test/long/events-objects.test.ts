import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ObjectStage } from "../support/events/object-stage.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats } from "../support/nats.ts";
import { NatsServer } from "../support/nats-server.ts";
import type { ServerProcess } from "../support/server-process.ts";

const TRIGGER = { broker: "orders", subscriber: { function: "recorder" } };
const WITHIN_MS = 60_000;

let stage: ObjectStage;
let gateway: ServerProcess;

beforeEach(async () => {
  stage = await ObjectStage.open();
}, 60_000);

afterEach(async () => {
  await stage?.close();
  stage?.account.expectNothingRefused();
});

async function openOrders(env: Readonly<Record<string, string>> = {}): Promise<void> {
  gateway = await stage.gateway("gateway", env);
  await stage.deployRecorder(gateway, "recorder");
  await stage.create("broker", "orders", {});
  await stage.create("trigger", "all", TRIGGER);
  await stage.condition("trigger", "all", { status: "True" });
}

let sent = 0;
async function expectDelivered(through = gateway): Promise<void> {
  const subject = String(++sent);
  expect(await stage.send(through, "orders", "order", subject)).toBe(202);
  await stage.whenSeen(through, "recorder", `order ${subject}`);
}

const statusOf = async (path: string) => (await fetch(gateway.url + path)).status;
const isGone = (kind: "trigger" | "broker", name: string) =>
  eventually(`${kind} ${name} is gone`, async () => (await statusOf(`/system/${kind}s/${name}`)) === 404, WITHIN_MS);

test("while the API server is away events go on, and afterwards what was changed meanwhile counts", async () => {
  await openOrders();
  await stage.kube.goAway();
  await expectDelivered();
  // Something is to be done that needs the cluster, and goes wrong for now.
  expect(await statusOf("/system/triggers/all")).toBe(200);
  stage.kube.compact();
  await stage.kube.comeBack();
  await stage.create("trigger", "paid", { ...TRIGGER, filter: { attributes: { type: "order.paid" } } });
  await stage.client.delete(stage.pathOf("trigger", "all"));
  await isGone("trigger", "all");
  expect(await stage.send(gateway, "orders", "order.paid", "late")).toBe(202);
  await stage.whenSeen(gateway, "recorder", "order.paid late");
  await stage.condition("trigger", "paid", { status: "True" });
}, 120_000);

test("while the provider is away nothing is forgotten, and what was deleted then goes when it is back", async () => {
  await openOrders();
  await stage.create("trigger", "goes", TRIGGER);
  await stage.condition("trigger", "goes", { status: "True" });
  await stage.provider.kill();
  await stage.client.delete(stage.pathOf("trigger", "goes"));
  await eventually(
    "the gateway has noticed",
    () => gateway.output.includes("stream of events' objects broke"),
    WITHIN_MS,
  );
  expect(await statusOf("/system/triggers/all")).toBe(200);
  expect(await statusOf("/system/triggers/goes")).toBe(200);
  await stage.restartProvider();
  await isGone("trigger", "goes");
  expect(await statusOf("/system/triggers/all")).toBe(200);
  await expectDelivered();
}, 120_000);

test("a gateway that begins while the cluster does not answer takes nothing away", async () => {
  await openOrders();
  await gateway.stop();
  stage.kube.faults.answer({ status: 500, matches: ({ resource }) => resource.startsWith("triggers") });
  await stage.provider.stop();
  await stage.restartProvider();
  gateway = await stage.gateway("gateway");
  // It acts on those that it is told of.
  await stage.create("broker", "more", {});
  await stage.condition("broker", "more", { status: "True" });
  expect(await statusOf("/system/triggers/all")).toBe(200);
  await expectDelivered();
  stage.kube.faults.clear();
  await stage.client.delete(stage.pathOf("trigger", "all"));
  await isGone("trigger", "all");
}, 120_000);

describeWithNats("with two gateways on NATS", () => {
  let nats: NatsServer;
  beforeEach(async () => {
    nats = await NatsServer.start();
  });
  afterEach(async () => {
    await nats?.remove();
  });

  test("one acts on objects, and another one takes its place", async () => {
    const env = { queue: "jetstream", nats_url: `nats://${nats.address}`, events_worker: "true" };
    await openOrders(env);
    const other = await stage.gateway("other", env);
    const applied = () => [gateway, other].map(({ output }) => output.split("declared by an object").length - 1);
    await stage.create("trigger", "second", TRIGGER);
    await stage.condition("trigger", "second", { status: "True" });
    const origin = async (through: ServerProcess) => {
      const response = await fetch(`${through.url}/system/triggers/second`);
      return response.status === 200 ? ((await response.json()) as { origin: string }).origin : response.status;
    };
    await eventually("both tell of it", async () => (await origin(other)) === "object", WITHIN_MS);
    // The broker and both triggers, by one of the two.
    expect(applied()).toEqual([3, 0]);
    await expectDelivered(other);
    await gateway.stop();
    await stage.create("trigger", "third", TRIGGER);
    await stage.condition("trigger", "third", { status: "True" });
    expect(applied()).toEqual([3, 1]);
    await stage.client.delete(stage.pathOf("trigger", "second"));
    await eventually("it is gone", async () => (await origin(other)) === 404, WITHIN_MS);
  }, 180_000);
});
