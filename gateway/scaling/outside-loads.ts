import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { ScalePolicy } from "../../contract/scale-policy.ts";
import type { Logger } from "../../kit/log.ts";
import type { OutsideLoad } from "./watched-function.ts";

/** Where loads come from that gateways do not see. Each may fail; absent ones are not there. */
export interface OutsideSources {
  /** Asynchronous calls waiting or under way, by `name.namespace`. */
  queued?(): Promise<ReadonlyMap<string, number>>;
  /** Milli-CPU of all replicas; undefined where it is not measured. */
  cpu?(ref: FunctionRef): Promise<number | undefined>;
  /** Value of a PromQL expression. */
  query?(expression: string): Promise<number>;
}

/** A value older than this is not known any more. */
const STALE_AFTER_MS = 15_000;
/** Kubernetes measures CPU every 15 s, and each answer costs the provider a request. */
const CPU_EVERY_MS = 5_000;

/** The last value of something that is asked for now and then. */
class Reading<T> {
  #value: T | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #takenAt = Number.NEGATIVE_INFINITY;
  #asking = false;
  problem = "not measured yet";

  /** Asks, unless an answer is still awaited or the last one is younger than `everyMs`. */
  refresh(now: number, everyMs: number, ask: () => Promise<T>, failed: (error: unknown) => void): void {
    if (this.#asking || now - this.#askedAt < everyMs) return;
    this.#asking = true;
    this.#askedAt = now;
    ask()
      .then((value) => {
        this.#value = value;
        this.#takenAt = now;
        this.problem = "no answer in time";
      })
      .catch((error: unknown) => {
        this.problem = error instanceof Error ? error.message : String(error);
        failed(error);
      })
      .finally(() => {
        this.#asking = false;
      });
  }

  at(now: number): T | undefined {
    return now - this.#takenAt <= STALE_AFTER_MS ? this.#value : undefined;
  }
}

/** Keeps the loads that come from outside the gateways current, without ever waiting for them. */
export class OutsideLoads {
  readonly #sources: OutsideSources;
  readonly #log: Pick<Logger, "debug">;
  readonly #queue = new Reading<ReadonlyMap<string, number>>();
  readonly #cpu = new Map<string, Reading<number | undefined>>();
  readonly #queries = new Map<string, Reading<number>>();

  constructor(sources: OutsideSources, log: Pick<Logger, "debug">) {
    this.#sources = sources;
    this.#log = log;
  }

  /** Asks for what functions with these policies need. */
  refresh(now: number, functions: Iterable<readonly [FunctionRef, ScalePolicy]>): void {
    const failed = (source: string) => (err: unknown) => this.#log.debug({ err, source }, "load unknown");
    const { queued, cpu, query } = this.#sources;
    if (queued) this.#queue.refresh(now, 0, queued, failed("queue"));
    const wanted = new Set<string>();
    for (const [ref, policy] of functions) {
      const name = qualifiedName(ref);
      if (policy.type === "cpu" && cpu) {
        wanted.add(name);
        this.#reading(this.#cpu, name).refresh(now, CPU_EVERY_MS, () => cpu(ref), failed("cpu"));
      } else if (policy.query !== undefined && query) {
        const expression = policy.query;
        wanted.add(expression);
        this.#reading(this.#queries, expression).refresh(now, 0, () => query(expression), failed("query"));
      }
    }
    for (const readings of [this.#cpu, this.#queries]) {
      for (const key of readings.keys()) if (!wanted.has(key)) readings.delete(key);
    }
  }

  #reading<T>(readings: Map<string, Reading<T>>, key: string): Reading<T> {
    const known = readings.get(key);
    if (known) return known;
    const reading = new Reading<T>();
    readings.set(key, reading);
    return reading;
  }

  /**
   * @param whole the function that `name` is a version of: its queue is one, and so is what it asks for
   * @param share the part of them that the version gets
   */
  of(now: number, name: string, policy: ScalePolicy, whole = name, share = 1): OutsideLoad {
    const cpu = this.#cpu.get(name)?.at(now);
    const custom = policy.query === undefined ? undefined : this.#queries.get(policy.query)?.at(now);
    const depth = this.#sources.queued ? this.#queueDepth(now, whole) : 0;
    return {
      queued: depth === undefined ? undefined : depth * share,
      ...(cpu !== undefined && { cpu }),
      ...(custom !== undefined && { custom: custom * share }),
    };
  }

  #queueDepth(now: number, name: string): number | undefined {
    const depths = this.#queue.at(now);
    return depths && (depths.get(name) ?? 0);
  }

  /** Why the load that a function is scaled by is not known; undefined when it is. */
  problem(now: number, name: string, { type, query = "" }: ScalePolicy): string | undefined {
    switch (type) {
      case "rps":
      case "capacity":
        return undefined;
      case "queue":
        if (!this.#sources.queued) return "there is no queue";
        return this.#queue.at(now) ? undefined : `the queue: ${this.#queue.problem}`;
      case "cpu":
        if (!this.#sources.cpu) return "CPU is not measured here";
        return this.#cpu.get(name)?.at(now) === undefined ? `CPU: ${this.#cpu.get(name)?.problem}` : undefined;
      case "custom":
        if (!this.#sources.query) return "no Prometheus is configured (prometheus_url)";
        return this.#queries.get(query)?.at(now) === undefined
          ? `the query: ${this.#queries.get(query)?.problem}`
          : undefined;
    }
  }
}
