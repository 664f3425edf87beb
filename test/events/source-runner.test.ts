import { afterEach, describe, expect, test } from "@jest/globals";
import { z } from "zod";
import { FaasError } from "../../contract/errors.ts";
import { DocumentSources } from "../../events/sources/document-sources.ts";
import { problemText } from "../../events/sources/problem-text.ts";
import type { SourceContext, SourceType } from "../../events/sources/source.ts";
import { ALWAYS_ACTS, SourceRunner, type SourceRunnerOptions } from "../../events/sources/source-runner.ts";
import { SourceStatuses } from "../../events/sources/source-statuses.ts";
import { sourceTypes } from "../../events/sources/source-types.ts";
import { createLogger } from "../../kit/log.ts";
import { ANY_TARGET, CallbackTargets } from "../../kit/outbound/targets.ts";
import { FakeLog, FakeResources } from "../support/events/fake-stores.ts";
import { eventually } from "../support/eventually.ts";

const log = createLogger("silent");
const event = (id: string) => ({ attributes: { specversion: "1.0", id, source: "/probe", type: "probe" } });

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

/** A source that does what the test says, and tells how often and with what it runs. */
class Probe implements SourceType<{ readonly label?: string | undefined }> {
  readonly type = "probe";
  readonly settings = z.strictObject({ label: z.string().optional() });
  readonly shared: boolean;
  readonly receives: boolean;
  readonly runs: { readonly label: string | undefined; readonly context: SourceContext }[] = [];
  running = 0;
  suspensions = 0;
  act: (context: SourceContext) => Promise<void> = async (context) => context.connected();

  constructor({ shared = false, receives = false } = {}) {
    this.shared = shared;
    this.receives = receives;
  }

  async suspended() {
    this.suspensions++;
  }

  async run({ label }: { readonly label?: string | undefined }, context: SourceContext) {
    this.runs.push({ label, context });
    this.running++;
    try {
      await this.act(context);
      await aborted(context.signal);
    } finally {
      this.running--;
    }
  }
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function setUp(probe: Probe, more: Partial<SourceRunnerOptions> = {}, resources = new FakeResources()) {
  const store = new FakeLog();
  const documents = new DocumentSources(resources, log);
  const runner = new SourceRunner({
    sets: [documents],
    types: sourceTypes({ probe: async () => probe }),
    store,
    resources,
    readSecret: async (namespace, name) => {
      if (name !== "password") throw new FaasError("notFound", `secret ${name} does not exist in ${namespace}`);
      return "correct horse/battery";
    },
    targets: new CallbackTargets(ANY_TARGET),
    lead: ALWAYS_ACTS,
    runs: { receiving: true, fetching: true },
    now: Date.now,
    log,
    ...more,
  });
  closing.push(
    async () => documents.close(),
    () => runner.close(),
  );
  const declare = (name: string, spec: object) => resources.put({ kind: "source", namespace: "ns", name, spec });
  const status = (name: string) => runner.find(`source/ns/${name}`)?.status;
  return { store, resources, runner, declare, status };
}

describe("declared sources", () => {
  test("run as they are declared, stop when they are removed, and leave the others alone", async () => {
    const probe = new Probe();
    const { resources, declare, status } = setUp(probe);
    await declare("a", { type: "probe", label: "first" });
    await declare("b", { type: "probe" });
    await eventually("both run", () => probe.running === 2);
    expect(status("a")?.state).toBe("connected");
    await declare("a", { type: "probe", label: "second" });
    await eventually("the changed one runs anew", () => probe.runs.length === 3 && probe.running === 2);
    expect(probe.runs.map(({ label }) => label)).toEqual(expect.arrayContaining(["first", undefined, "second"]));
    await resources.remove({ kind: "source", namespace: "ns", name: "a" });
    await eventually("the removed one has ended", () => probe.running === 1);
    expect(status("a")).toBeUndefined();
    expect(probe.runs).toHaveLength(3);
  });

  test("do not begin anew before the old run has ended", async () => {
    const probe = new Probe();
    let most = 0;
    probe.act = async ({ signal }) => {
      most = Math.max(most, probe.running);
      if (probe.runs.length === 1) {
        await aborted(signal);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const { declare } = setUp(probe);
    await declare("a", { type: "probe", label: "1" });
    await eventually("it runs", () => probe.runs.length === 1);
    await declare("a", { type: "probe", label: "2" });
    await eventually("it runs anew", () => probe.runs.length === 2);
    expect(most).toBe(1);
  });

  test("whose server takes connections and says nothing say so while they wait", async () => {
    const probe = new Probe();
    const answered = Promise.withResolvers<void>();
    probe.act = async (context) => {
      await answered.promise;
      context.connected();
    };
    const { declare, status } = setUp(probe, { slowMs: 20 });
    await declare("a", { type: "probe" });
    await eventually("it says so", () => status("a")?.problem?.includes("no connection after"));
    expect(status("a")).toMatchObject({ state: "connecting", errors: 0 });
    answered.resolve();
    await eventually("it is connected", () => status("a")?.state === "connected");
    expect(status("a")?.problem).toBeUndefined();
  });

  test("that fail say why without secrets, and are run again", async () => {
    const probe = new Probe();
    probe.act = async (context) => {
      const password = await context.secret("password");
      if (probe.runs.length === 1) {
        throw new Error(`cannot log in at amqp://user:${encodeURIComponent(password)}@host/ with ${password}`);
      }
      context.connected();
    };
    const { declare, status } = setUp(probe);
    await declare("a", { type: "probe" });
    const failed = await eventually("it has failed", () => (status("a")?.state === "failing" ? status("a") : false));
    expect(failed.problem).toBe("cannot log in at amqp://***@host/ with ***");
    expect(failed.errors).toBe(1);
    await eventually("it has recovered", () => status("a")?.state === "connected");
    expect(status("a")?.problem).toBeUndefined();
  });

  test("that cannot be read, or whose secret is missing, say so and disturb nobody", async () => {
    const probe = new Probe();
    probe.act = async (context) => {
      if (probe.runs.at(-1)?.label === "secret") await context.secret("missing");
      context.connected();
    };
    const { declare, status } = setUp(probe);
    await declare("odd", { type: 5 });
    await declare("unknown", { type: "nothing" });
    await declare("misspelt", { type: "probe", labl: "x" });
    await declare("bare", { type: "probe", label: "secret" });
    await eventually("it has failed", () => status("bare")?.state === "failing");
    await declare("good", { type: "probe" });
    await eventually("the good one runs", () => status("good")?.state === "connected");
    expect(status("odd")?.problem).toMatch(/type: is required/);
    expect(status("unknown")?.problem).toMatch(/type: must be one of probe/);
    expect(status("misspelt")?.problem).toMatch(/labl/);
    expect(status("bare")?.problem).toMatch(/secret missing does not exist/);
  });

  test("are told of their suspension, and run when it is over", async () => {
    const probe = new Probe();
    const { declare, status } = setUp(probe);
    await declare("a", { type: "probe", suspend: true });
    await eventually("it is suspended", () => status("a")?.state === "suspended");
    expect([probe.suspensions, probe.runs.length]).toEqual([1, 0]);
    await declare("a", { type: "probe" });
    await eventually("it runs", () => probe.running === 1);
    await declare("a", { type: "probe", suspend: true });
    await eventually("it is suspended again", () => status("a")?.state === "suspended" && probe.running === 0);
  });

  test("are read once their store is back", async () => {
    const probe = new Probe();
    const resources = new FakeResources();
    resources.failing = new FaasError("unavailable", "away");
    const { declare } = setUp(probe, {}, resources);
    await new Promise((resolve) => setImmediate(resolve));
    resources.failing = undefined;
    await declare("a", { type: "probe" });
    await eventually("it runs", () => probe.running === 1);
  });
});

describe("who runs a source", () => {
  test("the leader alone, and nobody any more once it has lost the lead", async () => {
    const probe = new Probe();
    let leads = false;
    const listeners = new Set<() => void>();
    const lead = {
      acts: () => leads,
      onChange: (listener: () => void) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    };
    const turn = (to: boolean) => {
      leads = to;
      for (const listener of listeners) listener();
    };
    const { declare, status } = setUp(probe, { lead });
    await declare("a", { type: "probe" });
    await eventually("it is known", () => status("a")?.state === "elsewhere");
    turn(true);
    await eventually("it runs", () => probe.running === 1);
    turn(false);
    await eventually("it has ended", () => probe.running === 0 && status("a")?.state === "elsewhere");
  });

  test.each([
    ["one that answers requests, every gateway", { receives: true }, { receiving: true, fetching: false }, 1],
    ["one that answers requests, no worker", { receives: true }, { receiving: false, fetching: true }, 0],
    ["a shared one, also who does not lead", { shared: true }, { receiving: false, fetching: true }, 1],
    ["a shared one, no gateway whose worker is another", { shared: true }, { receiving: true, fetching: false }, 0],
  ])("%s", async (_rule, kind, runs, count) => {
    const probe = new Probe(kind);
    const { declare, status } = setUp(probe, { runs, lead: { acts: () => false, onChange: () => () => {} } });
    await declare("a", { type: "probe" });
    await eventually("it is decided", () => status("a")?.state === (count === 1 ? "connected" : "elsewhere"));
    expect(probe.running).toBe(count);
  });

  test("tells the others how it is", async () => {
    const probe = new Probe();
    const resources = new FakeResources();
    const statuses = new SourceStatuses(resources, log);
    const { declare, status, runner } = setUp(probe, { statuses }, resources);
    await declare("a", { type: "probe" });
    await eventually("it runs", () => status("a")?.state === "connected");
    await runner.close();
    expect(await new SourceStatuses(resources, log).read("source/ns/a")).toMatchObject({ state: "connected" });
  });
});

describe("what a source emits", () => {
  test("goes to its broker with its topic and its attributes, and is counted once", async () => {
    const probe = new Probe();
    const { store, declare, status } = setUp(probe);
    await declare("a", { type: "probe", broker: "orders", attributes: { tenant: "t1" } });
    const [run] = await eventually("it runs", () => probe.runs.length > 0 && probe.runs);
    const emitted = { event: event("1"), topic: "t", once: "1", headers: [["X-Topic", "t"]] as const };
    expect(await run?.context.emit([emitted])).toEqual([{ ref: "1", duplicate: false }]);
    expect(await run?.context.emit([emitted])).toEqual([{ ref: "1", duplicate: true }]);
    expect(store.appended).toMatchObject([
      {
        broker: { namespace: "ns", name: "orders" },
        event: { attributes: { id: "1", source: "/probe", topic: "t", tenant: "t1" } },
        headers: [["X-Topic", "t"]],
        via: "source/ns/a",
        once: "source/ns/a/1",
      },
    ]);
    expect(status("a")).toMatchObject({ events: 1, errors: 0 });
  });

  test("is refused when it is no event, or cannot be stored", async () => {
    const probe = new Probe();
    const { store, declare } = setUp(probe);
    await declare("a", { type: "probe" });
    const [run] = await eventually("it runs", () => probe.runs.length > 0 && probe.runs);
    await expect(run?.context.emit([{ event: { attributes: { id: "1" } } }])).rejects.toThrow("source: is required");
    store.failing = new FaasError("overloaded", "the broker is full", { code: "overloaded" });
    await expect(run?.context.emit([{ event: event("1") }])).rejects.toThrow("the broker is full");
    expect(store.appended).toEqual([]);
  });

  test("waits outside while there is no broker for it", async () => {
    const probe = new Probe();
    const brokers = new Set<string>();
    const { store, declare } = setUp(probe, {
      hasBroker: async ({ namespace, name }) => brokers.has(`${namespace}/${name}`),
    });
    await declare("a", { type: "probe", broker: "orders" });
    const [run] = await eventually("it runs", () => probe.runs.length > 0 && probe.runs);
    await expect(run?.context.emit([{ event: event("1") }])).rejects.toThrow("there is no broker ns/orders");
    brokers.add("ns/orders");
    await run?.context.emit([{ event: event("1") }]);
    expect(store.appended).toHaveLength(1);
  });

  test("its cursor is kept, and refused to one that has been replaced", async () => {
    const probe = new Probe();
    const { declare } = setUp(probe);
    await declare("a", { type: "probe" });
    const [first] = await eventually("it runs", () => probe.runs.length === 1 && probe.runs);
    expect(await first?.context.cursor.load()).toBeUndefined();
    await first?.context.cursor.save("one");
    await declare("a", { type: "probe", label: "again" });
    const [, second] = await eventually("it runs anew", () => probe.runs.length === 2 && probe.runs);
    expect(await second?.context.cursor.load()).toBe("one");
    await second?.context.cursor.save("two");
    await expect(first?.context.cursor.save("three")).rejects.toThrow("another version");
    await expect(second?.context.cursor.save("x".repeat(70_000))).rejects.toThrow("at most 65536");
  });
});

test.each([
  [
    "a refused connection",
    Object.assign(new AggregateError([new Error("connect ECONNREFUSED ::1:1")]), { code: "E" }),
    "E: connect ECONNREFUSED ::1:1",
  ],
  ["causes", new Error("cannot read", { cause: new Error("no such file") }), "cannot read: no such file"],
  ["nothing", undefined, "failed"],
  ["a text", "broken", "broken"],
  [
    "a cause that is itself",
    (() => {
      const e = new Error("round");
      e.cause = e;
      return e;
    })(),
    "round",
  ],
  ["base64 of a secret", new Error(`Basic ${Buffer.from("hunter22").toString("base64")}`), "Basic ***"],
])("a problem tells of %s", (_what, thrown, text) => {
  expect(problemText(thrown, ["hunter22\n"])).toBe(text);
});
