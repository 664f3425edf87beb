import type { TrialSides } from "../rollout/trial-book.ts";

/** Load of one function at one gateway, over about the last second. */
export interface FunctionLoad {
  /** Calls in flight on average, those that wait for a replica among them. */
  readonly concurrency: number;
  readonly started: number;
  /** In flight now. */
  readonly inFlight: number;
  /** Waiting for a replica now. */
  readonly held: number;
  /** Calls at each replica now, by its address; where there is a choice only. */
  readonly replicas?: Readonly<Record<string, number>>;
}

export interface LoadReport {
  /** Name of the gateway, its own for each start. */
  readonly gateway: string;
  /** By `name.namespace`; idle functions are left out. */
  readonly functions: Readonly<Record<string, FunctionLoad>>;
  /** Functions that it got alerts for since its last report. */
  readonly alerted?: readonly string[];
  /** Replicas that it has ordered since, by function: for load, calls that wait or an alert. */
  readonly orders?: Readonly<Record<string, number>>;
  /** Replicas that it was asked for by hand since. */
  readonly byHand?: Readonly<Record<string, number>>;
  /** What it has counted of rollouts under way, since their step began, by function. */
  readonly trials?: Readonly<Record<string, TrialSides>>;
  /** Its last one: the gateway stops. */
  readonly last?: boolean;
}

const NONE: FunctionLoad = { concurrency: 0, started: 0, inFlight: 0, held: 0 };

/** A gateway that is silent for so long is missed: what it sees now is not known. */
const MISSED_AFTER_MS = 3_000;
/** A gateway that is silent for so long is gone, and its calls with it. */
const GONE_AFTER_MS = 10_000;

interface Page {
  report: LoadReport;
  at: number;
  /** Calls that began, not yet taken. */
  readonly started: Map<string, number>;
}

/** Adds up what several gateways report. */
export class LoadBook {
  readonly #pages = new Map<string, Page>();
  /** Begun at gateways that have left since. */
  readonly #left = new Map<string, number>();

  write(report: LoadReport, now: number): void {
    const page = this.#pages.get(report.gateway) ?? { report, at: now, started: new Map<string, number>() };
    page.report = report;
    page.at = now;
    for (const [name, { started }] of Object.entries(report.functions)) add(page.started, name, started);
    this.#pages.set(report.gateway, page);
    if (report.last) this.#close(report.gateway, page);
  }

  #close(gateway: string, page: Page): void {
    for (const [name, started] of page.started) add(this.#left, name, started);
    this.#pages.delete(gateway);
  }

  /** Which gateways are missed: until they are back or gone, the sum is too small. */
  missed(now: number): readonly string[] {
    for (const [gateway, page] of this.#pages) if (now - page.at > GONE_AFTER_MS) this.#close(gateway, page);
    return [...this.#pages].filter(([, { at }]) => now - at > MISSED_AFTER_MS).map(([gateway]) => gateway);
  }

  /** The sum over all gateways, `started` since the last time that it was taken. Functions without any are left out. */
  take(): Map<string, FunctionLoad> {
    const sums = new Map<string, FunctionLoad>();
    const put = (name: string, change: (load: FunctionLoad) => FunctionLoad) =>
      sums.set(name, change(sums.get(name) ?? NONE));
    for (const { report, started } of this.#pages.values()) {
      for (const [name, load] of Object.entries(report.functions)) {
        put(name, (sum) => ({ ...plus(sum, load), started: sum.started }));
      }
      for (const [name, count] of started) put(name, (sum) => ({ ...sum, started: sum.started + count }));
      started.clear();
    }
    for (const [name, count] of this.#left) put(name, (sum) => ({ ...sum, started: sum.started + count }));
    this.#left.clear();
    return sums;
  }
}

function add(counts: Map<string, number>, name: string, count: number): void {
  if (count > 0) counts.set(name, (counts.get(name) ?? 0) + count);
}

function plus(a: FunctionLoad, b: FunctionLoad): FunctionLoad {
  const replicas = a.replicas || b.replicas ? sum(a.replicas ?? {}, b.replicas ?? {}) : undefined;
  return {
    concurrency: a.concurrency + b.concurrency,
    started: a.started + b.started,
    inFlight: a.inFlight + b.inFlight,
    held: a.held + b.held,
    ...(replicas && { replicas }),
  };
}

function sum(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const total: Record<string, number> = { ...a };
  for (const [address, count] of Object.entries(b)) total[address] = (total[address] ?? 0) + count;
  return total;
}
