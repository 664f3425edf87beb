import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { FaasError } from "../../contract/errors.ts";
import type { ScaleDefaults } from "../../contract/scale-policy.ts";
import type { Logger } from "../../kit/log.ts";
import { steadyNow } from "../../kit/steady-clock.ts";
import type { StoredPattern } from "../core/scaling/daily-pattern.ts";
import type { Decision } from "../core/scaling/decision.ts";
import { type FunctionLoad, LoadBook, type LoadReport } from "../core/scaling/load-book.ts";
import type { LoadMeter } from "../core/scaling/load-meter.ts";
import type { Leadership, LoadExchange } from "./load-exchange.ts";
import { OutsideLoads, type OutsideSources } from "./outside-loads.ts";
import { WatchedFunction } from "./watched-function.ts";

/** A function as the gateway has it. */
export interface Scalable {
  readonly qualifiedName: string;
  /** The function that it is a version of, or itself. */
  readonly function?: { readonly qualifiedName: string };
  /** The part of the function's calls that it gets, and of loads that are known of the whole function; 1 when absent. */
  readonly share?: number;
  readonly snapshot: FunctionEndpoints;
  readonly readyReplicas: number;
  readonly held: { readonly count: number };
  readonly load: LoadMeter;
  /** Calls at each replica, by its address. */
  outstanding(): Readonly<Record<string, number>>;
}

export interface AutoscalerOptions {
  readonly functions: () => Iterable<Scalable>;
  /**
   * @param fn as the decision saw it
   * @param inFlight calls at each replica, so that idle ones go first
   */
  readonly scale: (
    fn: FunctionEndpoints,
    replicas: number,
    inFlight?: Readonly<Record<string, number>>,
  ) => Promise<void>;
  /** Why the provider's snapshot is not to be trusted now; undefined when it is. */
  readonly providerAway: () => string | undefined;
  readonly outside: OutsideSources;
  /** Absent: no other gateway. */
  readonly exchange?: LoadExchange;
  readonly leadership?: Leadership;
  /** What goes along with this gateway's loads to the others, and comes with theirs; see {@link LoadReport.trials}. */
  readonly trials?: {
    report(): LoadReport["trials"];
    receive(gateway: string, trials: NonNullable<LoadReport["trials"]>): void;
  };
  /** Name of this gateway, its own for each start. */
  readonly gateway: string;
  readonly defaults: ScaleDefaults;
  readonly log: Pick<Logger, "debug" | "info" | "warn">;
  /** Milliseconds that only go forward, for all intervals. */
  readonly now?: () => number;
  /** Milliseconds since the epoch as people read them, for schedules and times of day. */
  readonly wall?: () => number;
  /** The clock of the functions' load meters. */
  readonly clock?: () => number;
}

const SECOND_MS = 1000;
/** Seconds between two decisions. */
const TICK = 2;
const NO_LOAD: FunctionLoad = { concurrency: 0, started: 0, inFlight: 0, held: 0 };

/** Measures all functions each second, decides every other one, and has the provider act on it. */
export class Autoscaler {
  readonly #options: AutoscalerOptions;
  readonly #now: () => number;
  readonly #wall: () => number;
  readonly #clock: () => number;
  readonly #book = new LoadBook();
  readonly #outside: OutsideLoads;
  readonly #watched = new Map<string, WatchedFunction>();
  /** Learned before, about functions that are not watched yet. */
  readonly #learned = new Map<string, StoredPattern>();
  /** Functions whose last order the provider has not answered yet. */
  readonly #scaling = new Set<string>();
  readonly #refused = new Map<string, string>();
  /** Not told to the other gateways yet. */
  readonly #alerts = new Set<string>();
  readonly #orders = new Map<string, number>();
  readonly #handSet = new Map<string, number>();
  /** As of the last second, of all gateways. */
  #loads: ReadonlyMap<string, FunctionLoad> = new Map();
  #seconds = 0;
  #timer: NodeJS.Timeout | undefined;
  #led = false;
  /** Milliseconds of CPU that the last tick took, measuring and deciding. */
  tickMs = 0;

  constructor(options: AutoscalerOptions) {
    this.#options = options;
    this.#now = options.now ?? steadyNow;
    this.#wall = options.wall ?? options.now ?? Date.now;
    this.#clock = options.clock ?? (() => performance.now());
    this.#outside = new OutsideLoads(options.outside, options.log);
    options.exchange?.onReport((report) => {
      this.#book.write(report, this.#now());
      if (report.trials) options.trials?.receive(report.gateway, report.trials);
      const now = this.#now();
      for (const name of report.alerted ?? []) this.#watched.get(name)?.alerted(now);
      for (const [name, replicas] of Object.entries(report.orders ?? {})) {
        this.#watched.get(name)?.byHand.claimed(replicas, now);
      }
      for (const [name, replicas] of Object.entries(report.byHand ?? {})) {
        this.#watched.get(name)?.byHand.reported(replicas, now);
      }
    });
  }

  /** A time of the autoscaler's as people read it. */
  wallOf(ms: number): number {
    return ms + this.#wall() - this.#now();
  }

  /** Now, as all times of the autoscaler. */
  get now(): number {
    return this.#now();
  }

  get leading(): boolean {
    return this.#options.leadership?.leading ?? true;
  }

  get leader(): string | undefined {
    return this.#options.leadership ? this.#options.leadership.leader : this.#options.gateway;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.second(), SECOND_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#options.exchange?.publish({ gateway: this.#options.gateway, functions: {}, last: true });
  }

  watched(name: string): WatchedFunction | undefined {
    return this.#watched.get(name);
  }

  /** Replicas that the calls held here need, for a function at zero. */
  waking({ qualifiedName, snapshot, readyReplicas, held }: Scalable): number {
    const now = this.#now();
    return this.#watch(qualifiedName, snapshot, now).decide(now, snapshot, readyReplicas, held.count).replicas;
  }

  /** Someone scales a function by alerts: it is left alone for a while. */
  alerted(name: string): void {
    this.#watched.get(name)?.alerted(this.#now());
    this.#alerts.add(name);
  }

  /** Somebody has had a function scaled through this gateway. */
  scaledByHand(name: string, replicas: number): void {
    this.#watched.get(name)?.byHand.reported(replicas, this.#now());
    this.#handSet.set(name, replicas);
  }

  /** This gateway orders replicas for calls that wait, or by an alert. */
  ordered(name: string, replicas: number): void {
    this.#watched.get(name)?.byHand.ordered(replicas, this.#now());
    this.#orders.set(name, replicas);
  }

  /** What the provider last refused for a function; undefined when it did not. */
  refused(name: string): string | undefined {
    return this.#refused.get(name);
  }

  /** Takes in what was learned before, by `name.namespace`. */
  recall(learned: Readonly<Record<string, StoredPattern>>): void {
    for (const [name, pattern] of Object.entries(learned)) {
      const watched = this.#watched.get(name);
      if (watched) watched.pattern.recall(pattern);
      else this.#learned.set(name, pattern);
    }
  }

  /** What was learned about functions that ask for it, to begin with at the next start. */
  patterns(): Record<string, StoredPattern> {
    // Before it has looked at any function, it knows only what it was told.
    const learned: Record<string, StoredPattern> = this.#seconds === 0 ? Object.fromEntries(this.#learned) : {};
    for (const entry of this.#options.functions()) {
      const watched = this.#watched.get(entry.qualifiedName);
      if (watched?.policyFor(entry.snapshot).prewarm) learned[entry.qualifiedName] = watched.pattern.store();
    }
    return learned;
  }

  /** One second has passed: measures, and decides when it is time. Called by its own timer once started. */
  second(): void {
    const begun = performance.now();
    const now = this.#now();
    const functions = [...this.#options.functions()];
    this.#measure(functions, now);
    if (++this.#seconds % TICK === 0) {
      const policies = functions.map(
        ({ snapshot, qualifiedName }) =>
          [snapshot, this.#watch(qualifiedName, snapshot, now).policyFor(snapshot)] as const,
      );
      this.#outside.refresh(now, policies);
      this.#decide(functions, now);
    }
    this.tickMs = performance.now() - begun;
  }

  #watch(name: string, snapshot: FunctionEndpoints, now: number): WatchedFunction {
    let watched = this.#watched.get(name);
    if (!watched) {
      watched = new WatchedFunction(
        snapshot,
        now,
        this.#options.defaults,
        (ms) => this.wallOf(ms),
        this.#learned.get(name),
      );
      this.#learned.delete(name);
      this.#watched.set(name, watched);
    }
    return watched;
  }

  #measure(functions: readonly Scalable[], now: number): void {
    const own: Record<string, FunctionLoad> = {};
    const clock = this.#clock();
    for (const entry of functions) {
      const { concurrency, started, inFlight } = entry.load.read(clock);
      const held = entry.held.count;
      if (concurrency === 0 && started === 0 && inFlight === 0 && held === 0) continue;
      const replicas = entry.readyReplicas > 1 ? { replicas: entry.outstanding() } : {};
      own[entry.qualifiedName] = { concurrency, started, inFlight, held, ...replicas };
    }
    const trials = this.#options.exchange && this.#options.trials?.report();
    const report: LoadReport = {
      gateway: this.#options.gateway,
      functions: own,
      ...(this.#alerts.size > 0 && { alerted: [...this.#alerts] }),
      ...(this.#orders.size > 0 && { orders: Object.fromEntries(this.#orders) }),
      ...(this.#handSet.size > 0 && { byHand: Object.fromEntries(this.#handSet) }),
      ...(trials && { trials }),
    };
    for (const told of [this.#alerts, this.#orders, this.#handSet]) told.clear();
    this.#book.write(report, now);
    this.#options.exchange?.publish(report);

    const disconnected = this.#options.exchange?.away !== undefined;
    const sums = this.#book.take();
    this.#loads = sums;
    const seen = new Set<string>();
    for (const { qualifiedName: name, snapshot, readyReplicas, function: whole, share } of functions) {
      seen.add(name);
      const watched = this.#watch(name, snapshot, now);
      const outside = this.#outside.of(now, name, watched.policyFor(snapshot), whole?.qualifiedName, share);
      watched.record(now, snapshot, readyReplicas, sums.get(name) ?? NO_LOAD, outside, disconnected);
    }
    for (const name of this.#watched.keys()) if (!seen.has(name)) this.#forget(name);
  }

  #forget(name: string): void {
    this.#watched.delete(name);
    this.#refused.delete(name);
  }

  /** Every gateway decides, so that the next leader knows the history; only the leader acts. */
  #decide(functions: readonly Scalable[], now: number): void {
    const { leading } = this;
    if (leading !== this.#led) this.#options.log.info({ leading }, "autoscaling");
    this.#led = leading;
    const { exchange, providerAway } = this.#options;
    const missed = this.#book.missed(now);
    const partialLoad = missed.length > 0 ? { partialLoad: `no word from gateway ${missed.join(", ")}` } : {};
    const away = providerAway() ?? exchange?.away;
    for (const { qualifiedName: name, snapshot, readyReplicas } of functions) {
      const watched = this.#watch(name, snapshot, now);
      const load = this.#loads.get(name);
      const unknownLoad = away ?? this.#outside.problem(now, name, watched.policyFor(snapshot));
      const knownLoad = unknownLoad === undefined ? partialLoad : { unknownLoad };
      const decision = watched.decide(now, snapshot, readyReplicas, load?.held ?? 0, knownLoad);
      const wanted = decision.replicas !== snapshot.replicas && !watched.isAlerted(now);
      if (leading && wanted) this.#act(name, snapshot, decision, load?.replicas);
    }
  }

  #act(
    name: string,
    snapshot: FunctionEndpoints,
    decision: Decision,
    inFlight?: Readonly<Record<string, number>>,
  ): void {
    // Waking is the business of the gateway that holds the call, which does not wait for a tick.
    if (snapshot.replicas === 0 && decision.reason === "woken") return;
    if (this.#scaling.has(name)) return;
    this.#scaling.add(name);
    const { log, scale } = this.#options;
    const { byHand } = this.#watch(name, snapshot, this.#now());
    byHand.ordered(decision.replicas, this.#now());
    // What restores a number that was set by hand is nobody's own order.
    if (decision.reason !== "by-hand") this.#orders.set(name, decision.replicas);
    const facts = { function: name, from: snapshot.replicas, to: decision.replicas, reason: decision.reason };
    scale(snapshot, decision.replicas, decision.replicas < snapshot.replicas ? inFlight : undefined)
      .then(() => {
        this.#refused.delete(name);
        log.info(facts, "scaled function");
      })
      .catch((err: unknown) => {
        byHand.refused(decision.replicas);
        const why = err instanceof FaasError ? err.message : "the provider failed";
        // It is tried again and again, and said once.
        log[this.#refused.get(name) === why ? "debug" : "warn"]({ ...facts, err }, "could not scale function");
        this.#refused.set(name, why);
      })
      .finally(() => this.#scaling.delete(name));
  }
}
