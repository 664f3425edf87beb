import type { Worker } from "node:worker_threads";
import type { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";
import { within } from "../../kit/within.ts";
import type { KnownFunction } from "../core/known-function.ts";
import type { FunctionEntry } from "../proxy/function-entry.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { ObservedCall } from "../telemetry/call-record.ts";
import type { FunctionReport, ToThread, TurnOffer } from "./protocol.ts";
import { MAIN_THREAD, type SharedCounters } from "./shared-counters.ts";
import { tellLine } from "./thread-log.ts";
import { type Listening, WorkerLink, type WorkerNews } from "./worker-link.ts";

export interface WorkerPoolOptions {
  /** Threads that take calls, numbered from 1. */
  readonly workers: number;
  readonly start: (thread: number) => Worker;
  /** A worker has died, with all that it had. */
  readonly forget: (thread: number) => void;
  readonly table: FunctionTable;
  readonly counters: SharedCounters;
  /** For calls of the workers; as of `CallContext`. */
  readonly wake: (entry: FunctionEntry) => void;
  readonly doubt: (entry: FunctionEntry, replaced: boolean) => void;
  readonly expedite: (ref: FunctionRef) => Promise<void>;
  /** Told of calls that have ended, where that is wanted. */
  readonly observed: (record: ObservedCall) => void;
  /** So many more have ended, by function, than are worth to be kept. */
  readonly leftOut: (counts: ReadonlyMap<string, number>) => void;
  readonly log: Logger;
}

/** Answer of a call that its thread took with it. */
const BROKEN_OFF = 502;

/** Before a worker is replaced that has just been: its calls may be what ends it. */
const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 10_000;
/** One that has lived for so long was well. */
const WELL_AFTER_MS = 30_000;

/** Longest wait for what workers have counted. */
const REPORT_MS = 500;

/** Threads that take calls, and what they and the main thread have to tell each other. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #links = new Map<number, WorkerLink>();
  readonly #endings: (() => void)[] = [];
  /** Functions that the workers know. */
  readonly #told = new Map<string, KnownFunction>();
  readonly #deaths = new Map<number, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #keeping: Extract<ToThread, { kind: "keepCalls" }> | undefined;
  #lastTurn = MAIN_THREAD;
  #port = 0;
  #stopping = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    const { table, workers } = options;
    this.#endings.push(table.onChange((ref) => this.#tell(qualifiedName(ref))));
    void table.whenSynced.then(() => this.#broadcast({ kind: "synced" }));
    for (let thread = 1; thread <= workers; thread++) this.#start(thread);
  }

  /**
   * Has all workers listen.
   * @param port 0 for any
   * @throws the listen error when the port is taken; what else keeps a worker from its start
   */
  async listen(port: number): Promise<Listening> {
    const [first, ...others] = [...this.#links.values()] as [WorkerLink, ...WorkerLink[]];
    const listening = await first.listen(port, true);
    this.#port = listening.port;
    await Promise.all(others.map((link) => link.listen(listening.port, false)));
    return listening;
  }

  /** Until it has resolved, what workers have counted in the last second may be missing. */
  async report(): Promise<void> {
    await within(REPORT_MS, Promise.all([...this.#links.values()].map((link) => link.report())));
  }

  /** The provider answers again, after it did not. */
  retryProvider(): void {
    this.#broadcast({ kind: "retryProvider" });
  }

  /** Which calls are kept for those who look. @param slowFrom as of `CallChoice.learn` */
  keepCalls(on: boolean, slowFrom: ReadonlyMap<string, number>): void {
    this.#keeping = { kind: "keepCalls", on, slowFrom };
    this.#broadcast(this.#keeping);
  }

  /** Calls that wait for a function are not going to get a replica. */
  fail(ref: FunctionRef, { kind, message, code }: FaasError): void {
    this.#broadcast({ kind: "fail", name: qualifiedName(ref), error: { kind, message, ...(code && { code }) } });
  }

  /** A place may be free at a function that calls of several threads wait for: each in its turn. */
  readonly shareTurns = (entry: FunctionEntry): void => {
    this.#giveTurn({ kind: "turn", name: entry.qualifiedName, left: this.#options.workers + 1 });
  };

  /** Lets workers finish their calls. May be called twice. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#links.values()].map((link) => link.stop(timeoutMs)));
  }

  async close(): Promise<void> {
    this.#stopping = true;
    for (const end of this.#endings.splice(0)) end();
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([...this.#links.values()].map((link) => link.end()));
  }

  #start(thread: number): WorkerLink {
    const { start, table } = this.#options;
    const link: WorkerLink = new WorkerLink({
      thread,
      worker: start(thread),
      onNews: (news) => this.#receive(link, news),
      onEnd: (error) => this.#ended(link, error),
    });
    this.#links.set(thread, link);
    for (const { qualifiedName: name, snapshot } of table.entries()) this.#post(link, name, snapshot);
    if (table.synced) link.post({ kind: "synced" });
    if (this.#keeping) link.post(this.#keeping);
    return link;
  }

  #tell(name: string): void {
    const entry = this.#options.table.findOwn(name);
    if (entry) for (const link of this.#links.values()) this.#post(link, name, entry.snapshot);
    else {
      const known = this.#told.get(name);
      this.#told.delete(name);
      if (known) this.#broadcast({ kind: "removed", function: known });
    }
  }

  #post(link: WorkerLink, name: string, snapshot: KnownFunction): void {
    const counters = this.#options.counters.of(name);
    if (!counters) return;
    this.#told.set(name, snapshot);
    link.post({ kind: "function", function: snapshot, counters });
  }

  #broadcast(message: ToThread): void {
    for (const link of this.#links.values()) link.post(message);
  }

  #receive(link: WorkerLink, news: WorkerNews): void {
    const { table, wake, doubt, expedite, log } = this.#options;
    switch (news.kind) {
      case "wake": {
        const entry = table.find(news.name);
        if (entry) wake(entry);
        return;
      }
      case "doubt": {
        const entry = table.find(news.name);
        if (entry) doubt(entry, news.replaced);
        return;
      }
      case "expedite": {
        const { name, namespace } = news;
        expedite({ name, namespace }).catch((err: unknown) => {
          log.debug({ function: name, namespace, err }, "could not report a stalled function to the provider");
        });
        return;
      }
      case "turn":
        this.#giveTurn(news);
        return;
      case "report":
        for (const report of news.functions) this.#add(link, report);
        if (news.startups) table.startups.add(news.startups);
        return;
      case "calls":
        for (const record of news.records) this.#options.observed(record);
        if (news.leftOut) this.#options.leftOut(news.leftOut);
        return;
      case "log":
        tellLine(log, news.line);
        return;
    }
  }

  #add(link: WorkerLink, { name, id, meter, load }: FunctionReport): void {
    const entry = this.#options.table.find(name);
    // One that has taken the name of another has none of its calls.
    if (!entry || this.#options.counters.idOf(name) !== id) return;
    entry.load.note(link.thread, load);
    if (!meter) return;
    entry.meter.add(meter);
    const unended = link.unended.get(id) ?? { name, count: 0 };
    unended.count += meter.started - meter.ended;
    if (unended.count > 0) link.unended.set(id, unended);
    else link.unended.delete(id);
  }

  #giveTurn({ name, left }: TurnOffer): void {
    const { table, counters, workers } = this.#options;
    let tries = left;
    for (let step = 1; step <= workers + 1; step++) {
      const thread = (this.#lastTurn + step) % (workers + 1);
      const link = this.#links.get(thread);
      if (counters.waitingIn(thread, name) <= 0 || (thread !== MAIN_THREAD && !link)) continue;
      this.#lastTurn = thread;
      if (link) {
        link.post({ kind: "turn", name, left: tries });
        return;
      }
      if ((table.find(name)?.takeTurn() ?? 0) > 0 || --tries < 0) return;
    }
  }

  #ended(link: WorkerLink, error: Error | undefined): void {
    const { counters, table, log } = this.#options;
    const { thread } = link;
    if (this.#links.get(thread) === link) this.#links.delete(thread);
    counters.forget(thread);
    this.#options.forget(thread);
    for (const entry of table.entries()) entry.load.forget(thread);
    for (const [id, { name, count }] of link.unended) {
      const entry = table.find(name);
      if (!entry || counters.idOf(name) !== id) continue;
      for (let call = 0; call < count; call++) entry.meter.end(BROKEN_OFF, 0);
    }
    if (this.#stopping || this.#port === 0) return;
    // What its calls had taken is free for those that wait elsewhere.
    for (const entry of table.entries()) entry.releaseHeld();
    const lived = performance.now() - link.startedAt;
    const deaths = lived > WELL_AFTER_MS ? 0 : (this.#deaths.get(thread) ?? 0);
    this.#deaths.set(thread, deaths + 1);
    const waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** deaths);
    log.error(
      { worker: thread, err: error, waitMs },
      "a gateway worker has ended, and its calls with it; replacing it",
    );
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#replace(thread);
    }, waitMs);
    this.#timers.add(timer);
  }

  #replace(thread: number): void {
    if (this.#stopping) return;
    const { log } = this.#options;
    const link = this.#start(thread);
    link.listen(this.#port, false).then(
      () => log.info({ worker: thread }, "a gateway worker has taken the place of one that ended"),
      (err: unknown) => {
        log.error({ worker: thread, err }, "a gateway worker could not start");
        void link.end();
      },
    );
  }
}
