import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { FaasError } from "../../contract/errors.ts";
import type { EventDeliverySpec } from "../../contract/events/delivery-spec.ts";
import type { BrokerDeliveries } from "../../events/triggers/broker-deliveries.ts";
import { type OpenTriggers, openTriggers } from "../../events/triggers/open-triggers.ts";
import { SubscriberHealth } from "../../events/triggers/subscriber-health.ts";
import type { TriggerSet } from "../../events/triggers/trigger.ts";
import { FakeFunctions } from "../support/events/fake-functions.ts";
import { FakeResources } from "../support/events/fake-stores.ts";
import { eventually } from "../support/eventually.ts";

class FakeBrokers implements BrokerDeliveries {
  delivery: EventDeliverySpec | undefined;
  readonly #listeners: (() => void)[] = [];
  deliveryOf() {
    return this.delivery;
  }
  async read() {}
  onChange(listener: () => void) {
    this.#listeners.push(listener);
    return () => {};
  }
  say(delivery: EventDeliverySpec) {
    this.delivery = delivery;
    for (const listener of this.#listeners) listener();
  }
}

const BROKER = { namespace: "shop", name: "default" };
let resources: FakeResources;
let functions: FakeFunctions;
let brokers: FakeBrokers;
let warnings: unknown[];
let open: OpenTriggers;
/** How often listeners were told. */
let told: number;

function start(sets: readonly TriggerSet[] = []): void {
  const log = { warn: (facts: unknown) => void warnings.push(facts) };
  const checkTransform = async (expression: string, field: string) => {
    if (expression === "wrong") throw new FaasError("invalid", `${field}: is no JSONata`);
  };
  open = openTriggers({ resources, functions, brokers, sets, checkTransform, log: log as never });
  told = 0;
  open.triggers.onChange(() => told++);
}

beforeEach(() => {
  resources = new FakeResources();
  functions = new FakeFunctions();
  brokers = new FakeBrokers();
  warnings = [];
});
afterEach(() => open.close());

const declare = (name: string, spec: object) => resources.put({ kind: "trigger", namespace: "shop", name, spec });
const ids = () => open.triggers.of(BROKER).map(({ id }) => id);
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("triggers of functions", () => {
  test("come and go with them", async () => {
    start();
    await open.triggers.ready;
    functions.deploy("ship", { topic: "order.placed" });
    await eventually("it is there", () => ids().includes("function/shop/ship"));
    functions.deploy("ship", {});
    await eventually("it is gone", () => ids().length === 0);
    functions.deploy("ship", { topic: "order.placed" });
    functions.remove("ship");
    await turn();
    expect(ids()).toEqual([]);
  });

  test("are compiled once, and nobody is told of what changes nothing", async () => {
    start();
    functions.deploy("ship", { topic: "order.placed" });
    await open.triggers.ready;
    await turn();
    const [before] = open.triggers.all;
    const toldBefore = told;
    functions.deploy("bill", { other: "x" });
    await turn();
    expect(told).toBe(toldBefore);
    expect(open.triggers.all).toEqual([before]);
    expect(open.triggers.all[0]).toBe(before);
  });

  test("are not made for versions beside a function", async () => {
    start();
    functions.deploy("ship@v1", { topic: "order.placed" });
    await open.triggers.ready;
    expect(ids()).toEqual([]);
  });

  test("that are not sound are told in the log once", async () => {
    start();
    functions.deploy("ship", { topic: "x", "com.faaslane.events.order": "fifo" });
    await open.triggers.ready;
    functions.deploy("bill", {});
    brokers.say({ retry: 1 });
    await turn();
    expect(open.triggers.all[0]?.problem).toContain("com.faaslane.events.order");
    expect(warnings).toHaveLength(1);
  });
});

describe("triggers of functions with a transform", () => {
  test("that is no JSONata tell so, until it is mended", async () => {
    start();
    await open.triggers.ready;
    functions.deploy("ship", { topic: "x", "com.faaslane.events.transform": "wrong" });
    const problem = "com.faaslane.events.transform: is no JSONata";
    await eventually("the problem is told", () => open.triggers.all[0]?.problem === problem);
    expect(warnings).toHaveLength(1);
    functions.deploy("ship", { topic: "x", "com.faaslane.events.transform": "$" });
    await eventually("it is sound", () => open.triggers.all[0] && open.triggers.all[0].problem === undefined);
    await turn();
    expect(open.triggers.all[0]?.transform).toBe("$");
  });
});

describe("declared triggers", () => {
  test("count once they are looked at again, and follow changes by others", async () => {
    start();
    await open.triggers.ready;
    await declare("one", { subscriber: { function: "ship" } });
    await open.refresh();
    expect(ids()).toEqual(["trigger/shop/one"]);
    await resources.remove({ kind: "trigger", namespace: "shop", name: "one" });
    await eventually("it is gone", () => ids().length === 0);
  });

  test("that are not sound, as another release may have written them, tell why", async () => {
    await declare("one", { subscriber: { function: "ship" }, filters: [{ regex: {} }] });
    start();
    await open.triggers.ready;
    expect(open.triggers.find("trigger/shop/one")).toMatchObject({ problem: expect.stringContaining("regex") });
    expect(open.triggers.of(BROKER)[0]?.filter({}).reason).toContain("the trigger is not sound");
  });

  test("are read anew when their broker says something else of deliveries", async () => {
    await declare("one", { subscriber: { function: "ship" }, delivery: { timeout: "5s" } });
    start();
    await open.triggers.ready;
    brokers.say({ retry: 3, timeout: "9s" });
    expect(open.triggers.find("trigger/shop/one")?.policy).toMatchObject({ retries: 3, timeoutMs: 5000 });
  });

  test("are read as soon as the store is back", async () => {
    await declare("one", { subscriber: { function: "ship" } });
    resources.failing = new Error("away");
    start();
    await turn();
    expect(open.triggers.all).toEqual([]);
    resources.failing = undefined;
    await open.triggers.ready;
    expect(ids()).toEqual(["trigger/shop/one"]);
    expect(warnings.length).toBeGreaterThan(0);
  });
});

describe("all triggers", () => {
  test("are known only once every set is", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let ready = false;
    start([{ all: [], ready: promise, onChange: () => () => {} }]);
    void open.triggers.ready.then(() => {
      ready = true;
    });
    await turn();
    expect(ready).toBe(false);
    resolve();
    await open.triggers.ready;
  });

  test("stop by themselves until they are declared anew, in every process", async () => {
    await declare("one", { subscriber: { function: "ship" } });
    start();
    await open.triggers.ready;
    const elsewhere = new SubscriberHealth(resources, { warn: () => {} });
    await elsewhere.ready;
    const [trigger] = open.triggers.all;
    if (!trigger) throw new Error("there is no trigger");
    await open.health.stop(trigger, "answered 410", 5);
    expect(open.triggers.all[0]?.stopped).toBe("answered 410");
    await eventually("the other process knows", () => elsewhere.stopped(trigger) === "answered 410");
    await declare("one", { subscriber: { function: "ship" }, concurrency: 2 });
    await open.refresh();
    expect(open.triggers.all[0]).not.toHaveProperty("stopped");
    elsewhere.close();
  });

  test("that have stopped start again when they are told to", async () => {
    await declare("one", { subscriber: { function: "ship" } });
    start();
    await open.triggers.ready;
    const [trigger] = open.triggers.all;
    if (!trigger) throw new Error("there is no trigger");
    await open.health.stop(trigger, "answered 410", 5);
    expect(await open.triggers.resume(trigger.id)).toBe(true);
    expect(open.triggers.all[0]).not.toHaveProperty("stopped");
    expect(await open.triggers.resume(trigger.id)).toBe(false);
  });

  test("remember since when nothing went well with a subscriber", async () => {
    start();
    const trigger = { id: "trigger/shop/one" };
    await open.health.failed(trigger, 10);
    await open.health.failed(trigger, 20);
    expect(open.health.failingSince(trigger)).toBe(10);
    await open.health.succeeded(trigger);
    expect(open.health.failingSince(trigger)).toBeUndefined();
    expect([...resources.documents.values()].filter(({ kind }) => kind === "health")).toEqual([]);
  });

  test("hold what is known of a subscriber while it cannot be stored", async () => {
    await declare("one", { subscriber: { function: "ship" } });
    start();
    await open.triggers.ready;
    const [trigger] = open.triggers.all;
    if (!trigger) throw new Error("there is no trigger");
    resources.failing = new Error("away");
    await open.health.stop(trigger, "answered 410", 5);
    expect(open.triggers.all[0]?.stopped).toBe("answered 410");
    resources.failing = undefined;
  });
});
