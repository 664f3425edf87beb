import { FaasError } from "../../../contract/errors.ts";
import type { FunctionRef } from "../../../contract/functions.ts";
import type { ListedRollout } from "../../../contract/versions/requests.ts";
import { parseRollout } from "../../../contract/versions/rollout-settings.ts";
import { isUnderWay, type RolloutState } from "../../../contract/versions/rollout-state.ts";
import type { KnownFunction } from "../../../gateway/core/known-function.ts";
import { followTrials } from "../../../gateway/proxy/follow-trials.ts";
import { FunctionMeter } from "../../../gateway/proxy/function-meter.ts";
import { RolloutDriver, type RolloutDriverOptions } from "../../../gateway/rollouts/rollout-driver.ts";
import { RolloutsUnderWay } from "../../../gateway/rollouts/rollouts-under-way.ts";

export const REF: FunctionRef = { name: "shop", namespace: "fn" };

/** @param settings by what comes after `com.faaslane.rollout.` */
export function rolloutOf(
  settings: Readonly<Record<string, string>>,
  changes: Partial<RolloutState> = {},
): RolloutState {
  const annotations = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`com.faaslane.rollout.${name}`, value]),
  );
  const parsed = parseRollout({ "com.faaslane.rollout": "canary", ...annotations });
  if (parsed.problems.length > 0) throw new Error(parsed.problems.join());
  return {
    id: 1,
    from: "v1",
    to: "v2",
    phase: "warming",
    step: 0,
    since: 0,
    startedAt: 0,
    settings: parsed.settings,
    measurements: [],
    ...changes,
  };
}

function known(changes: Partial<KnownFunction>): KnownFunction {
  return { ...REF, labels: {}, annotations: {}, replicas: 1, generation: 1, endpoints: [], ...changes };
}

const replica = (address: string) => ({ address, instance: address, state: "ready" as const });

/** A table as one gateway has it, of one function. */
export class OneFunction {
  readonly #entries = new Map<string, { snapshot: KnownFunction; meter: FunctionMeter }>();
  readonly #listeners = new Set<(ref: FunctionRef) => void>();

  find(target: string) {
    return this.#entries.get(target);
  }

  onChange(listener: (ref: FunctionRef) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  put(changes: Partial<KnownFunction>): void {
    const snapshot = known(changes);
    const target = `${snapshot.name}.${snapshot.namespace}`;
    const entry = this.#entries.get(target) ?? { snapshot, meter: new FunctionMeter() };
    entry.snapshot = snapshot;
    this.#entries.set(target, entry);
    for (const listener of this.#listeners) listener(snapshot);
  }

  remove(name: string): void {
    this.#entries.delete(`${name}.fn`);
    for (const listener of this.#listeners) listener({ name, namespace: "fn" });
  }
}

export interface Gateway {
  readonly table: OneFunction;
  readonly underWay: RolloutsUnderWay;
  readonly driver: RolloutDriver;
  readonly lines: Record<string, unknown>[];
  leads: boolean;
}

/** A function with two versions, as its provider keeps it, and gateways before it. Its clocks are set by hand. */
export class RolloutWorld {
  listed: ListedRollout;
  /** Replicas of the new version. */
  ready = 1;
  problem: string | undefined;
  /** Seconds that have passed; and by how many the wall clock is ahead of what it was. */
  seconds = 0;
  wallAhead = 0;
  readonly writes: RolloutState[] = [];
  readonly raised: [FunctionRef, number][] = [];
  readonly gateways: Gateway[] = [];
  readonly asked: unknown[] = [];
  readonly queries: string[] = [];
  value: () => number = () => 0;
  answer: () => string | undefined = () => undefined;
  /** Writes that came too late. */
  conflicts = 0;

  constructor(rollout: RolloutState) {
    this.listed = { generation: 1, rollout };
  }

  addGateway(leads: boolean, options: Partial<RolloutDriverOptions> = {}): Gateway {
    const table = new OneFunction();
    followTrials(table);
    const underWay = new RolloutsUnderWay(table, `gateway-${this.gateways.length}`);
    const lines: Record<string, unknown>[] = [];
    const driver = new RolloutDriver({
      underWay,
      store: { read: async () => structuredClone(this.listed), write: async (_ref, next) => this.#write(next) },
      acts: () => gateway.leads,
      raise: async (ref, replicas) => void this.raised.push([ref, replicas]),
      ask: async (_hook, question) => {
        this.asked.push(question);
        return this.answer();
      },
      query: async (expression: string) => {
        this.queries.push(expression);
        return this.value();
      },
      log: {
        debug() {},
        info: (facts: object) => void lines.push({ ...facts }),
        warn: (facts: object) => void lines.push({ ...facts }),
      },
      wall: () => (this.seconds + this.wallAhead) * 1000,
      steady: () => this.seconds * 1000 + 5_000_000,
      ...options,
    } as RolloutDriverOptions);
    const gateway: Gateway = { table, underWay, driver, lines, leads };
    this.gateways.push(gateway);
    this.stream(gateway);
    return gateway;
  }

  #write(next: ListedRollout): void {
    if (next.generation !== this.listed.generation) {
      this.conflicts++;
      throw new FaasError("conflict", "stale");
    }
    this.set(next.rollout as RolloutState);
    this.writes.push(structuredClone(next.rollout) as RolloutState);
  }

  /** Somebody writes, whoever it is. */
  set(rollout: RolloutState): void {
    this.listed = { generation: this.listed.generation + 1, rollout: structuredClone(rollout) };
    for (const gateway of this.gateways) this.stream(gateway);
  }

  /** The gateway hears of what is now. */
  stream({ table }: Gateway): void {
    const { rollout } = this.listed;
    const shown = rollout && isUnderWay(rollout) ? { rollout } : {};
    table.put({ version: "v1", endpoints: [replica("a:1"), replica("a:2")], ...shown });
    const endpoints = Array.from({ length: this.ready }, (_, at) => replica(`b:${at}`));
    const problem = this.problem === undefined ? {} : { problem: this.problem };
    table.put({ name: "shop@v2", version: "v2", replicas: this.ready, endpoints, ...problem });
  }

  /** Calls that a gateway has, as its proxy counts them. */
  call({ table }: Gateway, version: "v1" | "v2", status: number, times: number, ms = 10): void {
    const meter = table.find(version === "v1" ? "shop.fn" : "shop@v2.fn")?.meter;
    for (let call = 0; call < times; call++) meter?.trial?.observe(status, ms, false);
  }

  /** Seconds pass, in each of which `each` happens before all gateways look. */
  async pass(seconds: number, each: () => void = () => {}): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.seconds++;
      each();
      for (const from of this.gateways) {
        const trials = from.underWay.report();
        const name = `gateway-${this.gateways.indexOf(from)}`;
        for (const to of this.gateways) if (trials && to !== from) to.underWay.receive(name, trials);
      }
      await Promise.all(this.gateways.map(({ driver }) => driver.look()));
    }
  }

  /** Where it has been, one after the other. */
  get course(): string[] {
    const all = this.writes.map(({ phase, step }) => `${phase} ${step}`);
    return all.filter((each, at) => each !== all[at - 1]);
  }
}
