import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";
import type { FunctionEvent, KnownFunction } from "../core/known-function.ts";
import { buildKnownFunction } from "./build-known-function.ts";
import { eachOf, FunctionReader, type FunctionsRead, type ProviderReads } from "./function-reader.ts";
import { PolledFunctions } from "./function-snapshots.ts";
import { GivenOrders } from "./given-orders.ts";

/** Who is told what functions there are. */
export interface FunctionSink {
  /** What the following snapshots leave out is gone. */
  begin(): void;
  apply(event: FunctionEvent): void;
  /** The provider answers again. */
  recovered?(): void;
}

export interface FunctionPollerOptions {
  readonly reads: ProviderReads;
  readonly sink: FunctionSink;
  readonly defaultNamespace: string;
  /** The provider has made another number of replicas of an order than was ordered. */
  readonly cut?: (ref: FunctionRef, replicas: number) => void;
  readonly log: Pick<Logger, "info" | "warn" | "debug">;
}

/** Between two readings; a provider that takes long is asked less often. */
const EVERY_MS = 1_000;
const MOST_MS = 10_000;
const PAUSES = 4;
/** Until what is missing is looked for again, and what somebody waits for. */
const SOON_MS = 250;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 2_000;
/** Longest time for all lists, and for one function. */
const LISTS_MS = 30_000;
const ONE_MS = 5_000;

/** Between two looks at a function that calls wait for. */
const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 1_000;
/** Where more functions are waited for, lists tell of all of them. */
const MAX_ONE_BY_ONE = 16;
/** Between two looks at one that calls have made doubtful. */
const DOUBT_MS = 1_000;
const MAX_DOUBTS = 10_000;

/** Where lists do not say how many replicas serve: how old such a number may be, and how many are asked for at a time. */
const COUNT_MS = 5_000;
const MAX_COUNTS = 64;
const COUNTS_AT_A_TIME = 4;

/** Failures in a row after which the provider is said not to tell. */
const MANY_FAILURES = 3;

/** Keeps a snapshot of the functions of a provider that has to be asked. Does nothing until it is started. */
export class FunctionPoller {
  readonly #options: FunctionPollerOptions;
  readonly #snapshots = new PolledFunctions();
  readonly #orders = new GivenOrders();
  /** While it polls. */
  #stop: AbortController | undefined;
  #told = false;
  /** Whether it was told before that there are no functions. */
  #empty = false;
  #failures = 0;
  #soon = new AbortController();
  readonly #refreshing = new Map<string, Promise<KnownFunction | undefined>>();
  readonly #watched = new Set<string>();
  readonly #doubtedAt = new Map<string, number>();
  /** By `name.namespace`, where lists do not tell. */
  #counts = new Map<string, { readonly at: number; readonly available: number }>();

  constructor(options: FunctionPollerOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#stop !== undefined;
  }

  /** Whether the snapshot is the provider's present one. */
  get current(): boolean {
    return this.running && this.#told && this.#failures === 0;
  }

  /** Whether it has long tried to read functions in vain. */
  get failing(): boolean {
    return this.running && !this.#told && this.#failures >= MANY_FAILURES;
  }

  start(): void {
    if (this.#stop) return;
    this.#stop = new AbortController();
    this.#told = false;
    this.#empty = false;
    this.#failures = 0;
    void this.#run(this.#stop.signal);
  }

  /** Tells nothing any more, whatever is under way. */
  stop(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.#snapshots.clear();
    this.#orders.clear();
    this.#counts.clear();
    this.#doubtedAt.clear();
    this.#refreshing.clear();
  }

  /** Somebody waits for news. */
  soon(): void {
    this.#soon.abort();
  }

  /** The provider has taken an order to scale a function. */
  ordered(ref: FunctionRef, replicas: number): void {
    const name = qualifiedName(ref);
    const from = this.#snapshots.find(name)?.replicas;
    if (from !== undefined) this.#orders.given(name, from, replicas, performance.now());
    this.#snapshots.ordered(name, performance.now());
    this.#counts.delete(name);
  }

  /** Whether the provider has shown that it takes such an order and does not carry it out. */
  isInVain(ref: FunctionRef, present: number, wanted: number): boolean {
    return this.#orders.isInVain(qualifiedName(ref), present, wanted, performance.now());
  }

  /** Calls wait for a function: looks at it more often for as long as they do. */
  watch(ref: FunctionRef, isWaitedFor: () => boolean): void {
    const name = qualifiedName(ref);
    if (!this.#stop || this.#watched.has(name)) return;
    this.#watched.add(name);
    void this.#watch(ref, isWaitedFor, this.#stop.signal).finally(() => this.#watched.delete(name));
  }

  /** An answer does not fit what is known of a function. */
  doubt(ref: FunctionRef): void {
    const name = qualifiedName(ref);
    const now = performance.now();
    if (!this.running || now - (this.#doubtedAt.get(name) ?? Number.NEGATIVE_INFINITY) < DOUBT_MS) return;
    if (this.#doubtedAt.size >= MAX_DOUBTS) this.#doubtedAt.clear();
    this.#doubtedAt.set(name, now);
    this.refresh(ref).catch((err: unknown) => this.#options.log.debug({ function: name, err }, "could not look at it"));
  }

  /**
   * Reads one function now; those who ask at the same time share the answer.
   * @returns undefined when the provider does not know it
   */
  refresh(ref: FunctionRef): Promise<KnownFunction | undefined> {
    const name = qualifiedName(ref);
    const known = this.#refreshing.get(name);
    if (known) return known;
    const signal = this.#stop?.signal ?? AbortSignal.abort();
    const reading = this.#read(ref, signal).finally(() => {
      if (this.#refreshing.get(name) === reading) this.#refreshing.delete(name);
    });
    this.#refreshing.set(name, reading);
    return reading;
  }

  async #read(ref: FunctionRef, signal: AbortSignal): Promise<KnownFunction | undefined> {
    const begunAt = performance.now();
    const listed = await this.#options.reads.functionOf(ref, within(ONE_MS, signal));
    if (signal.aborted) throw signal.reason;
    const name = qualifiedName(ref);
    if (!listed || listed.name !== ref.name) {
      this.#apply([this.#snapshots.miss(name, begunAt)], signal);
      this.soon();
      return undefined;
    }
    // Of a provider that gives no namespaces the lists have told how it is called.
    const inNamespace = this.#isBare(name) ? { ...listed, namespace: undefined } : { ...listed, ...ref };
    const fn = buildKnownFunction(inNamespace, ref.namespace);
    if (fn.way) this.#counts.set(name, { at: begunAt, available: fn.way.available });
    this.#apply([this.#snapshots.take(fn, begunAt)], signal);
    return fn;
  }

  #isBare(name: string): boolean {
    const fn = this.#snapshots.find(name);
    return fn?.way !== undefined && fn.way.path === `/function/${fn.name}`;
  }

  async #watch(ref: FunctionRef, isWaitedFor: () => boolean, signal: AbortSignal): Promise<void> {
    for (let waitMs = FIRST_LOOK_MS; !signal.aborted && isWaitedFor(); waitMs = Math.min(waitMs * 1.5, LAST_LOOK_MS)) {
      if (this.#watched.size > MAX_ONE_BY_ONE) this.soon();
      else await this.refresh(ref).catch(() => undefined); // the readings of all functions tell of it
      await sleep(waitMs, signal);
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const reader = new FunctionReader(this.#options.reads, this.#options.defaultNamespace);
    while (!signal.aborted) {
      const begunAt = performance.now();
      this.#soon = new AbortController();
      try {
        const read = await reader.read(within(LISTS_MS, signal));
        const functions = await this.#counted(read, signal);
        if (signal.aborted) return;
        if (this.#isWhole(functions)) this.#tell(functions, read.unreadable, begunAt, signal);
      } catch (err) {
        if (signal.aborted) return;
        this.#fail(err);
      }
      const pauseMs = this.#pauseMs(performance.now() - begunAt);
      await sleep(SOON_MS, signal);
      await sleep(Math.max(0, pauseMs - SOON_MS), AbortSignal.any([signal, this.#soon.signal]));
    }
  }

  /** A provider that has just begun may not know its functions yet: if at first there are none, it is asked twice. */
  #isWhole(functions: readonly KnownFunction[]): boolean {
    if (this.#told || this.#empty || functions.length > 0) return true;
    this.#empty = true;
    return false;
  }

  #pauseMs(tookMs: number): number {
    if (this.#failures > 0) return Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LAST_RETRY_MS);
    if (!this.#told || this.#snapshots.someMissed) return SOON_MS;
    return Math.min(MOST_MS, Math.max(EVERY_MS, PAUSES * tookMs));
  }

  /** The functions with how many replicas of each serve, asked for one by one where the lists do not say. */
  async #counted({ functions, uncounted }: FunctionsRead, signal: AbortSignal): Promise<readonly KnownFunction[]> {
    if (uncounted.length === 0) return functions;
    const now = performance.now();
    const names = new Set(functions.map(qualifiedName));
    this.#counts = new Map([...this.#counts].filter(([name]) => names.has(name)));
    const old = uncounted
      .filter((fn) => now - (this.#counts.get(qualifiedName(fn))?.at ?? Number.NEGATIVE_INFINITY) > COUNT_MS)
      .slice(0, MAX_COUNTS);
    await eachOf(old, COUNTS_AT_A_TIME, async (fn) => {
      const at = performance.now();
      const listed = await this.#options.reads.functionOf(fn, within(ONE_MS, signal));
      this.#counts.set(qualifiedName(fn), { at, available: listed?.availableReplicas ?? 0 });
    });
    const asked = new Set(uncounted);
    return functions.map((fn) => {
      const count = asked.has(fn) ? this.#counts.get(qualifiedName(fn)) : undefined;
      return count && fn.way ? { ...fn, way: { ...fn.way, available: count.available } } : fn;
    });
  }

  #tell(functions: readonly KnownFunction[], unreadable: ReadonlySet<string>, begunAt: number, signal: AbortSignal) {
    const { log, sink } = this.#options;
    const hadFailed = this.#failures > 0;
    this.#failures = 0;
    const news = this.#snapshots.takeAll(functions, unreadable, begunAt);
    if (this.#told) this.#apply(news, signal);
    else {
      this.#told = true;
      log.info(
        { functions: functions.length },
        "the provider has no endpoints stream; functions are called through it",
      );
      sink.begin();
      for (const fn of this.#snapshots.functions()) sink.apply({ type: "snapshot", function: fn });
      sink.apply({ type: "heartbeat" });
    }
    if (!hadFailed) return;
    log.info({}, "provider reachable again");
    sink.recovered?.();
  }

  #apply(events: readonly (FunctionEvent | undefined)[], signal: AbortSignal): void {
    // Until the first reading is whole, nobody is told of a part of it.
    if (signal.aborted || !this.#told) return;
    for (const event of events) {
      if (!event) continue;
      if (event.type === "changed") this.#see(event.function);
      this.#options.sink.apply(event);
    }
  }

  #see(fn: KnownFunction): void {
    if (this.#orders.see(qualifiedName(fn), fn.replicas, performance.now())) this.#options.cut?.(fn, fn.replicas);
  }

  #fail(err: unknown): void {
    if (this.#failures++ > 0) return;
    this.#options.log.warn({ err }, "could not read the provider's functions; serving calls from the last reading");
  }
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}
