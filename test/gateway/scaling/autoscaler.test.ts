import { afterEach, describe, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import { FaasError } from "../../../contract/errors.ts";
import { SCALE_DEFAULTS } from "../../../contract/scale-policy.ts";
import type { LoadReport } from "../../../gateway/core/scaling/load-book.ts";
import { LoadMeter } from "../../../gateway/core/scaling/load-meter.ts";
import { Autoscaler, type AutoscalerOptions, type Scalable } from "../../../gateway/scaling/autoscaler.ts";
import type { LoadExchange } from "../../../gateway/scaling/load-exchange.ts";

const START = 1_700_000_000_000;
const SILENT = { debug() {}, info() {}, warn() {} };

interface Order {
  readonly name: string;
  readonly replicas: number;
  readonly inFlight?: Readonly<Record<string, number>> | undefined;
}

class FakeFunction implements Scalable {
  snapshot: FunctionEndpoints;
  readyReplicas: number;
  readonly held = { count: 0 };
  readonly load = new LoadMeter(START);
  replicaLoads: Record<string, number> = {};
  function?: { readonly qualifiedName: string };
  share?: number;

  constructor(name: string, labels: Record<string, string>, replicas = 1) {
    const snapshot = { name, namespace: "openfaas-fn", labels, annotations: {}, generation: 1, endpoints: [] };
    this.snapshot = { ...snapshot, replicas };
    this.readyReplicas = replicas;
  }

  get qualifiedName(): string {
    return `${this.snapshot.name}.openfaas-fn`;
  }

  outstanding(): Record<string, number> {
    return this.replicaLoads;
  }

  become(replicas: number): void {
    this.snapshot = { ...this.snapshot, replicas };
    this.readyReplicas = replicas;
  }
}

/** Gateways whose clock the test moves; what they order is done at once. */
class Lab {
  now = START;
  readonly functions: FakeFunction[] = [];
  readonly orders: Order[] = [];
  refusal: FaasError | undefined;
  away: string | undefined;

  gateway(name: string, options: Partial<AutoscalerOptions> = {}): Autoscaler {
    return new Autoscaler({
      functions: () => this.functions,
      scale: async ({ name: functionName }, replicas, inFlight) => {
        this.orders.push({ name: functionName, replicas, inFlight });
        if (this.refusal) throw this.refusal;
        this.functions.find(({ snapshot }) => snapshot.name === functionName)?.become(replicas);
      },
      providerAway: () => this.away,
      outside: {},
      gateway: name,
      defaults: SCALE_DEFAULTS,
      log: SILENT,
      now: () => this.now,
      clock: () => this.now,
      ...options,
    });
  }

  async run(seconds: number, ...gateways: Autoscaler[]): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.now += 1000;
      for (const gateway of gateways) gateway.second();
      await new Promise(setImmediate); // what was ordered is done
    }
  }

  add(labels: Record<string, string>, replicas = 1, name = "f"): FakeFunction {
    const f = new FakeFunction(name, labels, replicas);
    this.functions.push(f);
    return f;
  }
}

/** Connects gateways of one process. */
class Bus {
  readonly #listeners = new Map<string, (report: LoadReport) => void>();
  readonly cut = new Set<string>();

  exchange(name: string): LoadExchange {
    const { cut } = this;
    return {
      publish: (report) => {
        if (cut.has(name)) return;
        for (const [other, listener] of this.#listeners) if (other !== name) listener(report);
      },
      onReport: (listener) => this.#listeners.set(name, listener),
      get away() {
        return cut.has(name) ? "the others cannot be heard" : undefined;
      },
      close: async () => {},
    };
  }
}

const CAPACITY = {
  "com.openfaas.scale.type": "capacity",
  "com.openfaas.scale.target": "2",
  "com.openfaas.scale.target-proportion": "1",
  "com.faaslane.scale.down-delay": "0s",
};
let lab: Lab;

afterEach(() => expect(lab.orders.every(({ replicas }) => replicas >= 0)).toBe(true));

describe("one gateway", () => {
  test("follows its calls up, and down after the window", async () => {
    lab = new Lab();
    const f = lab.add(CAPACITY);
    const gateway = lab.gateway("a");
    for (let i = 0; i < 10; i++) f.load.enter(lab.now);
    await lab.run(6, gateway);
    expect(f.snapshot.replicas).toBe(5);
    for (let i = 0; i < 10; i++) f.load.leave(lab.now);
    await lab.run(100, gateway);
    expect(f.snapshot.replicas).toBe(1);
    const recorded = gateway.watched(f.qualifiedName)?.recorded ?? [];
    expect(recorded.map(({ decision }) => decision.reason)).toEqual(expect.arrayContaining(["load", "panic", "min"]));
    expect(recorded.every(({ decision }) => decision.steps.length > 0)).toBe(true);
  });

  test("sleeps when idle; queued calls keep it awake", async () => {
    lab = new Lab();
    const f = lab.add({ ...CAPACITY, "com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "30s" });
    let queued = new Map([[f.qualifiedName, 1]]);
    const gateway = lab.gateway("a", { outside: { queued: async () => queued } });
    await lab.run(60, gateway);
    expect(f.snapshot.replicas).toBe(1);
    queued = new Map();
    await lab.run(36, gateway);
    expect(f.snapshot.replicas).toBe(0);
  });

  test("a queue that does not answer keeps it awake", async () => {
    lab = new Lab();
    const f = lab.add({ ...CAPACITY, "com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "30s" });
    const queued = () => Promise.reject(new Error("the queue is away"));
    await lab.run(100, lab.gateway("a", { outside: { queued } }));
    expect(f.snapshot.replicas).toBe(1);
  });

  test.each<[type: string, labels: Record<string, string>, outside: AutoscalerOptions["outside"]]>([
    ["queue", {}, { queued: async () => new Map([["f.openfaas-fn", 9]]) }],
    ["cpu", {}, { cpu: async () => 9 }],
    ["custom", { "com.faaslane.scale.query": "lag" }, { query: async (text) => (text === "lag" ? 9 : Number.NaN) }],
  ])("scales by %s", async (type, labels, outside) => {
    lab = new Lab();
    const f = lab.add({ ...CAPACITY, ...labels, "com.openfaas.scale.type": type });
    await lab.run(10, lab.gateway("a", { outside }));
    expect(f.snapshot.replicas).toBe(5);
  });

  test.each<[type: string, labels: Record<string, string>, outside: AutoscalerOptions["outside"]]>([
    ["queue", {}, { queued: async () => new Map([["f.openfaas-fn", 40]]) }],
    ["custom", { "com.faaslane.scale.query": "lag" }, { query: async () => 40 }],
  ])("what is known of the whole function by %s is for each version in part", async (type, labels, outside) => {
    lab = new Lab();
    const all = { ...CAPACITY, ...labels, "com.openfaas.scale.type": type, "com.openfaas.scale.max": "50" };
    const [f, beside, tagged] = [lab.add(all), lab.add(all, 1, "f@v2"), lab.add(all, 1, "f@v3")];
    for (const version of [beside, tagged]) version.function = f;
    [f.share, beside.share, tagged.share] = [0.75, 0.25, 0];
    await lab.run(60, lab.gateway("a", { outside }));
    expect([f, beside, tagged].map(({ snapshot }) => snapshot.replicas)).toEqual([15, 5, 1]);
  });

  test("a source that is away freezes, with its reason", async () => {
    lab = new Lab();
    const f = lab.add({ ...CAPACITY, "com.openfaas.scale.type": "custom", "com.faaslane.scale.query": "lag" }, 4);
    const gateway = lab.gateway("a", { outside: { query: () => Promise.reject(new Error("no Prometheus")) } });
    await lab.run(100, gateway);
    expect(f.snapshot.replicas).toBe(4);
    expect(gateway.watched(f.qualifiedName)?.last?.decision).toMatchObject({
      reason: "load-unknown",
      steps: [{ text: "its load is not known: the query: no Prometheus; 4 are kept" }],
    });
  });

  test("while the provider is away nothing changes", async () => {
    lab = new Lab();
    const f = lab.add(CAPACITY, 4);
    lab.away = "the provider is away";
    await lab.run(100, lab.gateway("a"));
    expect([f.snapshot.replicas, lab.orders]).toEqual([4, []]);
  });

  test("an order that the provider refuses is told and tried again", async () => {
    lab = new Lab();
    const f = lab.add(CAPACITY);
    const gateway = lab.gateway("a");
    lab.refusal = new FaasError("invalid", "quota exceeded");
    for (let i = 0; i < 10; i++) f.load.enter(lab.now);
    await lab.run(6, gateway);
    expect(gateway.refused(f.qualifiedName)).toBe("quota exceeded");
    lab.refusal = undefined;
    await lab.run(4, gateway);
    expect([f.snapshot.replicas, gateway.refused(f.qualifiedName)]).toEqual([5, undefined]);
  });

  test("idle replicas are named when some are to go", async () => {
    lab = new Lab();
    const f = lab.add(CAPACITY, 4);
    f.replicaLoads = { "h:1": 3, "h:2": 0 };
    for (let i = 0; i < 3; i++) f.load.enter(lab.now);
    await lab.run(100, lab.gateway("a"));
    expect(lab.orders.at(-1)).toEqual({ name: "f", replicas: 2, inFlight: { "h:1": 3, "h:2": 0 } });
  });

  test("a function that is scaled by alerts is left alone for a while", async () => {
    lab = new Lab();
    const f = lab.add({}, 4);
    const gateway = lab.gateway("a");
    await lab.run(2, gateway);
    gateway.alerted(f.qualifiedName);
    await lab.run(200, gateway);
    expect(f.snapshot.replicas).toBe(4);
    await lab.run(200, gateway);
    expect(f.snapshot.replicas).toBe(1);
  });

  const QUICK = { ...CAPACITY, "com.faaslane.scale.window": "10s", "com.faaslane.scale.down-delay": "6s" };

  test("what somebody sets at the provider stands for a window and the delay", async () => {
    lab = new Lab();
    const f = lab.add(QUICK);
    const gateway = lab.gateway("a");
    await lab.run(30, gateway);
    f.become(3);
    await lab.run(16, gateway);
    expect([f.snapshot.replicas, lab.orders]).toEqual([3, []]);
    const reasons = gateway.watched(f.qualifiedName)?.recorded.map(({ decision }) => decision.reason);
    expect(reasons).toContain("by-hand");
    await lab.run(8, gateway);
    expect(f.snapshot.replicas).toBe(1);
  });

  test("what a gateway is asked for holds, also when it is the present number", async () => {
    lab = new Lab();
    const f = lab.add(QUICK);
    const gateway = lab.gateway("a");
    for (let i = 0; i < 6; i++) f.load.enter(lab.now);
    await lab.run(30, gateway);
    expect(f.snapshot.replicas).toBe(3);
    for (let i = 0; i < 6; i++) f.load.leave(lab.now);
    await lab.run(10, gateway);
    gateway.scaledByHand(f.qualifiedName, 3);
    await lab.run(12, gateway);
    expect(f.snapshot.replicas).toBe(3);
    await lab.run(20, gateway);
    expect(f.snapshot.replicas).toBe(1);
  });

  test("an order that crosses it on the way is put right", async () => {
    lab = new Lab();
    const f = lab.add(QUICK, 2);
    const gateway = lab.gateway("a");
    await lab.run(18, gateway);
    gateway.ordered(f.qualifiedName, 1);
    f.become(3);
    await lab.run(1, gateway);
    f.become(1);
    await lab.run(3, gateway);
    expect(f.snapshot.replicas).toBe(3);
  });

  test("a function that was removed is forgotten", async () => {
    lab = new Lab();
    const f = lab.add(CAPACITY);
    const gateway = lab.gateway("a");
    await lab.run(2, gateway);
    lab.functions.length = 0;
    await lab.run(2, gateway);
    expect(gateway.watched(f.qualifiedName)).toBeUndefined();
  });
});

describe("several gateways", () => {
  const leader = (leading: boolean) => ({ leading, leader: "a", close: async () => {} });

  test("add up what they see; one acts", async () => {
    lab = new Lab();
    const bus = new Bus();
    const f = lab.add(CAPACITY);
    // Each has its own half of the calls: two tables of the same function.
    const other = new FakeFunction("f", CAPACITY);
    const a = lab.gateway("a", { exchange: bus.exchange("a"), leadership: leader(true) });
    const b = lab.gateway("b", {
      exchange: bus.exchange("b"),
      leadership: leader(false),
      functions: () => {
        other.snapshot = f.snapshot;
        other.readyReplicas = f.readyReplicas;
        return [other];
      },
    });
    for (let i = 0; i < 6; i++) f.load.enter(lab.now);
    for (let i = 0; i < 8; i++) other.load.enter(lab.now);
    await lab.run(8, a, b);
    expect(f.snapshot.replicas).toBe(7);
    // The other one would decide the same, and has not acted.
    expect(b.watched(f.qualifiedName)?.last?.decision.replicas).toBe(7);
    expect(lab.orders.length).toBeLessThanOrEqual(3);
  });

  test("nothing is taken away while one is missed", async () => {
    lab = new Lab();
    const bus = new Bus();
    const f = lab.add(CAPACITY);
    const a = lab.gateway("a", { exchange: bus.exchange("a"), leadership: leader(true) });
    const b = lab.gateway("b", { exchange: bus.exchange("b"), leadership: leader(false), functions: () => [] });
    for (let i = 0; i < 6; i++) f.load.enter(lab.now);
    await lab.run(40, a, b);
    expect(f.snapshot.replicas).toBe(3);
    for (let i = 0; i < 6; i++) f.load.leave(lab.now);
    await lab.run(28, a, b);
    await lab.run(8, a);
    expect(a.watched(f.qualifiedName)?.last?.decision.reason).toBe("load-unknown");
    await lab.run(60, a);
    expect(f.snapshot.replicas).toBe(1);
  });

  test("more load gets more replicas although one is missed", async () => {
    lab = new Lab();
    const bus = new Bus();
    const f = lab.add(CAPACITY);
    const a = lab.gateway("a", { exchange: bus.exchange("a"), leadership: leader(true) });
    const b = lab.gateway("b", { exchange: bus.exchange("b"), leadership: leader(false), functions: () => [] });
    await lab.run(10, a, b);
    await lab.run(3, a);
    for (let i = 0; i < 6; i++) f.load.enter(lab.now);
    await lab.run(6, a);
    expect(f.snapshot.replicas).toBe(3);
  });

  test("what was not heard for a while is no less load afterwards", async () => {
    lab = new Lab();
    const bus = new Bus();
    const f = lab.add(CAPACITY);
    const other = new FakeFunction("f", CAPACITY);
    const mirror = () => {
      other.snapshot = f.snapshot;
      other.readyReplicas = f.readyReplicas;
      return [other];
    };
    const leads = { leading: true, leader: "a", close: async () => {} };
    const a = lab.gateway("a", { exchange: bus.exchange("a"), leadership: leads });
    const b = lab.gateway("b", { exchange: bus.exchange("b"), leadership: leader(false), functions: mirror });
    for (let i = 0; i < 2; i++) f.load.enter(lab.now);
    for (let i = 0; i < 10; i++) other.load.enter(lab.now);
    await lab.run(70, a, b);
    expect(f.snapshot.replicas).toBe(6);
    bus.cut.add("a").add("b");
    leads.leading = false;
    await lab.run(90, a, b);
    expect(a.watched(f.qualifiedName)?.last?.decision.steps[0]?.text).toContain("the others cannot be heard");
    bus.cut.clear();
    leads.leading = true;
    const before = lab.orders.length;
    await lab.run(150, a, b);
    expect([f.snapshot.replicas, lab.orders.slice(before)]).toEqual([6, []]);
    for (let i = 0; i < 10; i++) other.load.leave(lab.now);
    await lab.run(100, a, b);
    expect(f.snapshot.replicas).toBe(1);
  });

  test("what was set by hand through one of them is known to the one that leads", async () => {
    lab = new Lab();
    const bus = new Bus();
    const f = lab.add({ ...CAPACITY, "com.faaslane.scale.window": "10s" });
    const a = lab.gateway("a", { exchange: bus.exchange("a"), leadership: leader(true) });
    const b = lab.gateway("b", { exchange: bus.exchange("b"), leadership: leader(false) });
    await lab.run(30, a, b);
    b.scaledByHand(f.qualifiedName, 3);
    f.become(3);
    await lab.run(9, a, b);
    expect([f.snapshot.replicas, lab.orders]).toEqual([3, []]);
    for (const gateway of [a, b]) {
      expect(gateway.watched(f.qualifiedName)?.last?.decision.reason).toBe("by-hand");
    }
    await lab.run(10, a, b);
    expect(f.snapshot.replicas).toBe(1);
  });

  test("what one of them orders is not by hand for the others, whichever they hear of first", async () => {
    lab = new Lab();
    const bus = new Bus();
    const f = lab.add({ ...CAPACITY, "com.openfaas.scale.zero": "true" }, 0);
    const a = lab.gateway("a", { exchange: bus.exchange("a"), leadership: leader(true) });
    const b = lab.gateway("b", { exchange: bus.exchange("b"), leadership: leader(false) });
    await lab.run(4, a, b);
    // One wakes it for calls that wait there.
    b.ordered(f.qualifiedName, 2);
    f.become(2);
    await lab.run(2, a, b);
    expect(a.watched(f.qualifiedName)?.byHand.last).toBeUndefined();
    for (let i = 0; i < 10; i++) f.load.enter(lab.now);
    await lab.run(8, a, b);
    expect(f.snapshot.replicas).toBeGreaterThan(2);
    expect(b.watched(f.qualifiedName)?.byHand.last).toBeUndefined();
  });

  test("a function that only others call does not sleep for not hearing them", async () => {
    lab = new Lab();
    const bus = new Bus();
    const f = lab.add({ ...CAPACITY, "com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "30s" });
    const a = lab.gateway("a", { exchange: bus.exchange("a"), leadership: leader(true) });
    await lab.run(10, a);
    bus.cut.add("a");
    await lab.run(100, a);
    bus.cut.clear();
    await lab.run(20, a);
    expect(f.snapshot.replicas).toBe(1);
    await lab.run(16, a);
    expect(f.snapshot.replicas).toBe(0);
  });
});

describe("what was learned", () => {
  const PREWARM = { ...CAPACITY, "com.faaslane.scale.prewarm": "true" };
  const days = { "19674": [1, 2] };
  const learned = { "f.openfaas-fn": { watchedSince: START - 5e8, days, hits: 3, misses: 1 } };

  test("is not lost by a gateway that is stopped before it has seen a function", () => {
    lab = new Lab();
    const gateway = lab.gateway("a");
    gateway.recall(learned);
    expect(gateway.patterns()).toEqual(learned);
  });

  test.each([0, 2])("adds to what is learned meanwhile, %s s after the start", async (seconds) => {
    lab = new Lab();
    const f = lab.add(PREWARM);
    const gateway = lab.gateway("a");
    f.load.enter(lab.now);
    await lab.run(seconds, gateway);
    gateway.recall(learned);
    await lab.run(2, gateway);
    const { "f.openfaas-fn": pattern } = gateway.patterns();
    expect(pattern).toMatchObject({ watchedSince: START - 5e8, hits: 3, misses: 1 });
    expect(Object.entries(pattern?.days ?? {})).toEqual([["19674", [1, 2]], expect.anything()]);
  });

  test("is forgotten with its function", async () => {
    lab = new Lab();
    const gateway = lab.gateway("a");
    gateway.recall(learned);
    await lab.run(1, gateway);
    expect(gateway.patterns()).toEqual({});
  });
});

describe("the system's clock is set", () => {
  const HOUR = 3_600_000;

  /** Calls come and go over five minutes; the clock is `ahead` by what is told for each second. */
  async function course(ahead: (second: number) => number): Promise<{ orders: Order[]; replicas: number[] }> {
    lab = new Lab();
    const f = lab.add({ ...CAPACITY, "com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "90s" });
    let second = 0;
    const gateway = lab.gateway("a", { wall: () => lab.now + ahead(second) });
    const replicas: number[] = [];
    for (second = 1; second <= 300; second++) {
      if (second === 20) for (let i = 0; i < 12; i++) f.load.enter(lab.now);
      if (second === 80) for (let i = 0; i < 12; i++) f.load.leave(lab.now);
      await lab.run(1, gateway);
      replicas.push(f.snapshot.replicas);
    }
    return { orders: lab.orders, replicas };
  }

  test.each<[what: string, ahead: (second: number) => number]>([
    ["back", (second) => (second > 60 ? -HOUR : 0)],
    ["forward", (second) => (second > 60 ? HOUR : 0)],
    ["back and forth", (second) => (second > 60 && second < 120 ? -HOUR : second > 180 ? HOUR : 0)],
  ])("%s: nothing is decided otherwise", async (_what, ahead) => {
    const undisturbed = await course(() => 0);
    expect([Math.max(...undisturbed.replicas), undisturbed.replicas.at(-1)]).toEqual([6, 0]);
    expect(await course(ahead)).toEqual(undisturbed);
  });

  test("schedules follow it, and what is shown is told by it", async () => {
    lab = new Lab();
    const noon = Date.UTC(2026, 0, 15, 12);
    const f = lab.add({ ...CAPACITY, "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "9" });
    const windows = JSON.stringify([{ schedule: "0 12 * * *", duration: "1h", min: 4 }]);
    f.snapshot = { ...f.snapshot, annotations: { "com.faaslane.scale.windows": windows } };
    let wall = noon - HOUR;
    const gateway = lab.gateway("a", { wall: () => wall });
    await lab.run(6, gateway);
    expect(f.snapshot.replicas).toBe(1);
    wall = noon + 60_000;
    await lab.run(6, gateway);
    expect(f.snapshot.replicas).toBe(4);
    const last = gateway.watched(f.qualifiedName)?.last;
    expect(Math.abs(gateway.wallOf(last?.at ?? 0) - wall)).toBeLessThan(10_000);
  });
});
