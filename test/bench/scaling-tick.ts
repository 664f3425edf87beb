import { setImmediate as turn } from "node:timers/promises";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { SCALE_DEFAULTS } from "../../contract/scale-policy.ts";
import { LoadMeter } from "../../gateway/core/scaling/load-meter.ts";
import { Autoscaler, type Scalable } from "../../gateway/scaling/autoscaler.ts";

export interface TickOptions {
  readonly functions: number;
  /** Of them, those that are called. */
  readonly active: number;
  /** Seconds of simulated time; every other one decides. */
  readonly seconds: number;
}

/** Milliseconds of CPU of one tick. */
export interface TickCost {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Orders to the provider, so that one sees that something was decided. */
  readonly orders: number;
}

/** Simulated seconds before anything counts: the compiler is done by then. */
const WARM_UP = 60;
const TICK = 2;
const TYPES = ["capacity", "rps"] as const;

class LoadedFunction implements Scalable {
  readonly qualifiedName: string;
  readonly load: LoadMeter;
  readonly held = { count: 0 };
  snapshot: FunctionEndpoints;

  constructor(index: number, now: number) {
    const name = `fn-${index}`;
    this.qualifiedName = `${name}.openfaas-fn`;
    this.load = new LoadMeter(now);
    const labels = {
      "com.openfaas.scale.type": TYPES[index % TYPES.length] as string,
      "com.openfaas.scale.target": "10",
      "com.openfaas.scale.zero": String(index % 4 === 0),
      "com.faaslane.scale.prewarm": String(index % 10 === 0),
    };
    const fixed = { name, namespace: "openfaas-fn", labels, annotations: {}, generation: 1 };
    this.snapshot = { ...fixed, replicas: 0, endpoints: [] };
    this.become(1);
  }

  get readyReplicas(): number {
    return this.snapshot.endpoints.length;
  }

  outstanding(): Record<string, number> {
    return Object.fromEntries(this.snapshot.endpoints.map(({ address }, i) => [address, i]));
  }

  become(replicas: number): void {
    const endpoints = Array.from({ length: replicas }, (_, i) => ({
      address: `127.0.0.1:${40_000 + i}`,
      instance: `${this.snapshot.name}-${i}`,
      state: "ready" as const,
    }));
    this.snapshot = { ...this.snapshot, replicas, endpoints };
  }

  /** A second with so many calls, each of half a second. */
  call(calls: number, begun: number): void {
    for (let i = 0; i < calls; i++) this.load.enter(begun + (i * 500) / calls);
    for (let i = 0; i < calls; i++) this.load.leave(begun + 500 + (i * 500) / calls);
  }
}

/** What deciding costs: the real autoscaler on functions whose provider does at once what it is told. */
export async function measureTicks({ functions, active, seconds }: TickOptions): Promise<TickCost> {
  let now = Date.now();
  let orders = 0;
  const all = Array.from({ length: functions }, (_, i) => new LoadedFunction(i, now));
  const byName = new Map(all.map((entry) => [entry.snapshot.name, entry]));
  const autoscaler = new Autoscaler({
    functions: () => all,
    scale: async ({ name }, replicas) => {
      orders++;
      byName.get(name)?.become(replicas);
    },
    providerAway: () => undefined,
    outside: { queued: async () => new Map([["fn-0.openfaas-fn", 5]]) },
    gateway: "bench",
    defaults: SCALE_DEFAULTS,
    log: { debug() {}, info() {}, warn() {} },
    now: () => now,
    clock: () => now,
  });
  const costs: number[] = [];
  for (let second = 1; second <= WARM_UP + seconds; second++) {
    for (const [i, entry] of all.slice(0, active).entries()) {
      // Each goes up and down by itself, within a minute.
      entry.call(Math.round(40 * (1 + Math.sin((second + i) / 10))), now);
    }
    now += 1000;
    const before = process.threadCpuUsage();
    autoscaler.second();
    const { user, system } = process.threadCpuUsage(before);
    if (second > WARM_UP && second % TICK === 0) costs.push((user + system) / 1000);
    await turn();
  }
  autoscaler.close();
  costs.sort((a, b) => a - b);
  const at = (share: number) => costs[Math.min(costs.length - 1, Math.floor(costs.length * share))] as number;
  return { p50: at(0.5), p99: at(0.99), max: at(1), orders };
}
