import type { Registry } from "prom-client";
import type { BrokerStats } from "../../events/store/event-store.ts";
import { registerHistogram } from "../../kit/histogram.ts";
import { register, type Value } from "../../kit/series.ts";
import { within } from "../../kit/within.ts";
import type { EventMeter } from "./event-meter.ts";

/** A source, as far as it is told of. */
export interface MeteredSource {
  /** `source/NAMESPACE/NAME`, or `function/NAMESPACE/NAME`. */
  readonly id: string;
  readonly type: string;
  readonly state: string;
  readonly events: number;
  readonly errors: number;
  readonly lag?: number | undefined;
}

/** How many runs a flow has in one state. */
export interface MeteredRuns {
  readonly namespace: string;
  readonly flow: string;
  readonly state: string;
  readonly count: number;
}

export interface EventMetricsOptions {
  readonly meter: EventMeter;
  /** Of all brokers with events; none while events are not open here. */
  readonly stats: () => Promise<readonly BrokerStats[]>;
  /** Those that run in this process. */
  readonly sources: () => readonly MeteredSource[];
  /** Of all flows, where this process looks after them. */
  readonly runs: () => readonly MeteredRuns[];
}

/** How long what the store said is good for: one scrape asks for many series. */
const STATS_AGE_MS = 500;
/** A store that is away must not hold up the other series. */
const STATS_TIMEOUT_MS = 2_000;

/**
 * Series of events. What the store says is of all processes and the same in each, so aggregate it by `max`; what is counted
 * here is this process's own.
 * @see docs/observability.md
 */
export function registerEventMetrics(registry: Registry, { meter, stats, sources, runs }: EventMetricsOptions): void {
  register(registry, "counter", "faaslane_events_received_total", "Events sent to brokers, by what came of it.", () =>
    [...meter.brokers()].flatMap(({ namespace, broker, events }) =>
      Object.entries(events).map(([outcome, value]) => ({ labels: { namespace, broker, outcome }, value })),
    ),
  );
  register(registry, "counter", "faaslane_events_deliveries_total", "Tries to deliver an event, by their end.", () =>
    [...meter.triggers()].flatMap(({ trigger, tries }) =>
      Object.entries(tries).map(([outcome, value]) => ({ labels: { trigger, outcome }, value })),
    ),
  );
  registerHistogram(registry, "faaslane_events_delivery_seconds", "Time of tries to deliver an event.", () =>
    [...meter.triggers()].map(({ trigger, time: tally }) => ({ labels: { trigger }, tally })),
  );
  registerStats(registry, sharedStats(stats));
  registerSources(registry, sources);
  registerFlows(registry, meter, runs);
}

function registerFlows(registry: Registry, meter: EventMeter, runs: EventMetricsOptions["runs"]): void {
  register(registry, "gauge", "faaslane_flows_runs", "Runs of a flow that are kept, by their state.", () =>
    runs().map(({ namespace, flow, state, count: value }) => ({ labels: { namespace, flow, state }, value })),
  );
  register(registry, "counter", "faaslane_flows_runs_started_total", "Runs of a flow that were begun.", () =>
    [...meter.flows()].map(({ namespace, flow, started: value }) => ({ labels: { namespace, flow }, value })),
  );
  register(registry, "counter", "faaslane_flows_runs_ended_total", "Runs of a flow that came to an end.", () =>
    [...meter.flows()].flatMap(({ namespace, flow, ended }) =>
      Object.entries(ended).map(([state, value]) => ({ labels: { namespace, flow, state }, value })),
    ),
  );
  registerHistogram(registry, "faaslane_flows_run_seconds", "Time from a run's beginning to its end.", () =>
    [...meter.flows()].map(({ namespace, flow, time: tally }) => ({ labels: { namespace, flow }, tally })),
  );
}

function registerStats(registry: Registry, stats: () => Promise<readonly BrokerStats[]>): void {
  const gauge = (name: string, help: string, value: (of: BrokerStats) => number) =>
    register(registry, "gauge", name, help, async () => (await stats()).map((of) => brokerValue(of, value(of))));
  gauge("faaslane_events_stored", "Events that a broker keeps.", ({ events }) => events);
  gauge("faaslane_events_stored_bytes", "Events and data that a broker keeps.", ({ bytes }) => bytes);
  gauge("faaslane_events_pending", "Events that are not given to triggers yet.", ({ pending }) => pending);
  gauge("faaslane_events_dead", "Deliveries that were given up.", ({ dead }) => dead);
  gauge("faaslane_events_oldest_open_seconds", "Age of the oldest event that is not delivered.", ({ oldestOpenAt }) =>
    oldestOpenAt === undefined ? 0 : Math.max(0, Date.now() - oldestOpenAt) / 1000,
  );
  register(registry, "gauge", "faaslane_events_open", "Deliveries that wait or are under way.", async () =>
    (await stats()).flatMap((of) =>
      Object.entries(of.open).map(([trigger, count]) => {
        const { labels, value } = brokerValue(of, count);
        return { labels: { ...labels, trigger }, value };
      }),
    ),
  );
}

function brokerValue({ broker: { namespace, name } }: BrokerStats, value: number): Value {
  return { labels: { namespace, broker: name }, value };
}

function registerSources(registry: Registry, sources: () => readonly MeteredSource[]): void {
  const each = (
    type: "counter" | "gauge",
    name: string,
    help: string,
    value: (source: MeteredSource) => number | undefined,
  ) =>
    register(registry, type, name, help, () =>
      sources().flatMap((source) => {
        const known = value(source);
        return known === undefined ? [] : [{ labels: { source: source.id, type: source.type }, value: known }];
      }),
    );
  each("gauge", "faaslane_events_source_up", "1 while a source is connected.", ({ state }) =>
    Number(state === "connected"),
  );
  each("counter", "faaslane_events_source_events_total", "Events that a source has brought.", ({ events }) => events);
  each("counter", "faaslane_events_source_errors_total", "Failures of a source.", ({ errors }) => errors);
  each("gauge", "faaslane_events_source_lag", "What waits outside for a source, where it knows.", ({ lag }) => lag);
}

function sharedStats(ask: EventMetricsOptions["stats"]): EventMetricsOptions["stats"] {
  let asked: { readonly at: number; readonly stats: Promise<readonly BrokerStats[]> } | undefined;
  return async () => {
    if (!asked || performance.now() - asked.at > STATS_AGE_MS) {
      const stats = within(
        STATS_TIMEOUT_MS,
        ask().catch(() => []),
      ).then((found) => found ?? []);
      asked = { at: performance.now(), stats };
    }
    return await asked.stats;
  };
}
