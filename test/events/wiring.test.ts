import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import { KnownBrokers } from "../../events/brokers/known-brokers.ts";
import { takeHops } from "../../events/routes/hops.ts";
import { problemText } from "../../events/sources/problem-text.ts";
import { openEmbeddedEvents } from "../../events/store/embedded/index.ts";
import type { BrokerLimits, BrokerRef } from "../../events/store/event-store.ts";
import { EventNamespaces } from "../../gateway/process/events/event-namespaces.ts";
import { eventSecrets } from "../../gateway/process/events/event-secrets.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function folder(): Promise<string> {
  const { path, remove } = await temporaryFolder();
  closers.push(remove);
  return path;
}

describe("brokers", () => {
  const log = createLogger("silent");

  async function open(hasNamespace = async (namespace: string) => namespace === "shop") {
    const store = await openEmbeddedEvents({ path: join(await folder(), "events.db"), log });
    closers.push(() => store.close());
    const limits: [BrokerRef, BrokerLimits][] = [];
    const limit = async (broker: BrokerRef, set: BrokerLimits) => {
      limits.push([broker, set]);
      await store.events.limit(broker, set);
    };
    const brokers = new KnownBrokers({ resources: store.resources, events: { limit }, hasNamespace, log });
    closers.push(() => brokers.close());
    return { brokers, limits, resources: store.resources };
  }

  const named = (name: string, spec: unknown) => ({ kind: "broker" as const, namespace: "shop", name, spec });

  test("the default one is there in each namespace that there is, others once they are declared", async () => {
    const { brokers, resources } = await open();
    expect(await brokers.find({ namespace: "shop", name: "default" })).toMatchObject({ declared: false });
    expect(await brokers.find({ namespace: "nowhere", name: "default" })).toBeUndefined();
    expect(await brokers.find({ namespace: "shop", name: "orders" })).toBeUndefined();
    await resources.put(named("orders", { auth: "basic" }));
    const found = await eventually("it is known", () => brokers.find({ namespace: "shop", name: "orders" }));
    expect(found).toMatchObject({ declared: true, spec: { auth: "basic" } });
    await resources.remove(named("orders", {}));
    await eventually("it is gone", async () => !(await brokers.find({ namespace: "shop", name: "orders" })));
  });

  test("the store is told of limits once, and of the default ones when a declaration is gone", async () => {
    const { brokers, limits, resources } = await open();
    await resources.put(named("orders", { maxAge: "1h", maxSize: "1Mi", maxEvents: 10 }));
    await brokers.refresh();
    await brokers.refresh();
    expect(limits).toEqual([
      [
        { namespace: "shop", name: "orders" },
        { maxAgeMs: 3600_000, maxBytes: 1024 ** 2, maxEvents: 10 },
      ],
    ]);
    await resources.remove(named("orders", {}));
    await brokers.refresh();
    expect(limits.at(-1)?.[1]).toMatchObject({ maxAgeMs: 24 * 3600_000 });
  });

  test("a declaration of another release, which cannot be read, keeps no events out", async () => {
    const { brokers, resources } = await open();
    await resources.put(named("future", { shape: "round" }));
    await brokers.refresh();
    expect(await brokers.find({ namespace: "shop", name: "future" })).toMatchObject({ spec: {}, declared: true });
  });
});

describe("namespaces", () => {
  test("are asked for seldom, however many names strangers try", async () => {
    let now = 0;
    let asked = 0;
    const list = async () => {
      asked++;
      return ["shop"];
    };
    const table = { entries: function* () {} };
    const namespaces = new EventNamespaces({ table, list, defaultNamespace: "fn", now: () => now });
    expect(await namespaces.has("fn")).toBe(true);
    expect(asked).toBe(0);
    for (let i = 0; i < 100; i++) expect(await namespaces.has(`guess-${i}`)).toBe(false);
    expect([await namespaces.has("shop"), asked]).toEqual([true, 1]);
    now += 1_500;
    expect([await namespaces.has("other"), asked]).toEqual([false, 2]);
  });
});

describe("secrets", () => {
  test("are files, or folders of keys, and nothing outside", async () => {
    const path = await folder();
    await mkdir(join(path, "shop/login"), { recursive: true });
    await writeFile(join(path, "shop/token"), "t0ken\n");
    await writeFile(join(path, "shop/login/password"), "pass\n");
    await writeFile(join(path, "outside"), "hidden");
    await symlink(join(path, "outside"), join(path, "shop/login/link"));
    const read = eventSecrets(path);
    expect(await read("shop", "token")).toBe("t0ken");
    expect(await read("shop", "login", "password")).toBe("pass");
    for (const [namespace, name, key] of [
      ["shop", "missing"],
      ["shop", "..", "outside"],
      ["..", "outside"],
      ["shop", "login", "../../outside"],
      ["shop", "login", ".."],
      ["shop", "token", "other"],
      ["shop", "login"],
    ] as const) {
      const error: unknown = await read(namespace, name, key).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ kind: "notFound" });
      // What a source's status tells.
      expect(problemText(error)).not.toContain(path);
    }
  });
});

describe("hops", () => {
  const event = (ttl?: string | number) => ({
    attributes: {
      specversion: "1.0",
      id: "1",
      source: "/s",
      type: "t",
      ...(ttl !== undefined && { knativebrokerttl: ttl }),
    },
  });

  test.each<[given: string | number | undefined, hops: number]>([
    [undefined, 255],
    [255, 254],
    ["10", 9],
    [2, 1],
    [1_000_000, 255],
  ])("of an event with %p are %d, and are no attribute any more", (given, hops) => {
    const taken = takeHops(event(given));
    expect(taken.hops).toBe(hops);
    expect(taken.event.attributes).not.toHaveProperty("knativebrokerttl");
  });

  test.each([1, 0, -1, "0", "x", "1.5", "99999999999999999999"])("that are %p end it", (given) => {
    expect(() => takeHops(event(given))).toThrow("knativebrokerttl");
  });
});
