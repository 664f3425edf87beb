import { FaasError } from "../../contract/errors.ts";
import { qualifiedName } from "../../contract/functions.ts";
import type { FunctionEntry } from "../proxy/function-entry.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { FromThread, FunctionReport, ToThread, TurnOffer } from "./protocol.ts";
import type { ReceivedCounters } from "./shared-counters.ts";

export interface CallThreadOptions {
  readonly table: FunctionTable;
  readonly counters: ReceivedCounters;
  readonly post: (message: FromThread) => void;
  /** Clock of the functions' load meters. Default: that of this thread. */
  readonly now?: () => number;
}

/** How often the main thread is told what was counted. */
const REPORT_EVERY_MS = 1_000;

/** What the main thread and one that takes calls say to each other about functions, as that one sees it. */
export class CallThread {
  readonly #options: CallThreadOptions;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  /** Functions whose last reading showed calls under way; the main thread is to learn when there are none. */
  readonly #busy = new Set<string>();
  /** Functions that replicas were asked for a moment ago. */
  readonly #woken = new Set<FunctionEntry>();
  #synced = false;

  constructor(options: CallThreadOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#timer = setInterval(() => this.report(), REPORT_EVERY_MS).unref();
  }

  receive(message: Exclude<ToThread, { kind: "listen" | "keepCalls" | "stop" }>): void {
    const { table, counters } = this.#options;
    switch (message.kind) {
      case "function":
        counters.receive(qualifiedName(message.function), message.counters);
        table.apply({ type: this.#synced ? "changed" : "snapshot", function: message.function });
        return;
      case "removed":
        table.apply({ type: "removed", function: message.function });
        counters.remove(qualifiedName(message.function));
        return;
      case "synced":
        this.#synced = true;
        table.apply({ type: "heartbeat" });
        return;
      case "retryProvider":
        table.retryProvider();
        return;
      case "fail": {
        const { kind, message: text, code } = message.error;
        table.find(message.name)?.held.fail(new FaasError(kind, text, code === undefined ? {} : { code }));
        return;
      }
      case "turn":
        this.#takeTurn(message);
        return;
      case "report":
        this.report(message.number);
        return;
    }
  }

  /** A place is free at a function that calls of several threads wait for. */
  shareTurns(entry: FunctionEntry, threads: number): void {
    this.#options.post({ kind: "turn", name: entry.qualifiedName, left: threads });
  }

  #takeTurn({ name, left }: TurnOffer): void {
    const went = this.#options.table.find(name)?.takeTurn() ?? 0;
    if (went === 0 && left > 0) this.#options.post({ kind: "turn", name, left: left - 1 });
  }

  /** Calls wait for a replica. Those that came together say it once. */
  wake(entry: FunctionEntry): void {
    if (this.#woken.has(entry)) return;
    if (this.#woken.size === 0) setImmediate(() => this.#woken.clear());
    this.#woken.add(entry);
    this.#options.post({ kind: "wake", name: entry.qualifiedName });
  }

  /** @param number of the question that this answers, if any */
  report(number?: number): void {
    const { table, post } = this.#options;
    const functions: FunctionReport[] = [];
    const now = this.#now();
    for (const entry of table.entries()) {
      const report = this.#read(entry, now);
      if (report) functions.push(report);
    }
    const startups = table.startups.take();
    if (functions.length === 0 && !startups && number === undefined) return;
    post({ kind: "report", functions, ...(startups && { startups }), ...(number !== undefined && { number }) });
  }

  #read(entry: FunctionEntry, now: number): FunctionReport | undefined {
    const name = entry.qualifiedName;
    const id = this.#options.counters.idOf(name);
    if (id === undefined) return undefined;
    const meter = entry.meter.take();
    const load = entry.load.read(now);
    const busy = load.inFlight > 0 || load.concurrency > 0;
    if (!meter && !busy && load.started === 0 && !this.#busy.has(name)) return undefined;
    if (busy) this.#busy.add(name);
    else this.#busy.delete(name);
    return { name, id, load, ...(meter && { meter }) };
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
