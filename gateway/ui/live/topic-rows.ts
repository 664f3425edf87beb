import type { FunctionRow, LiveBroker, PlatformRow, QueueRow } from "../../../contract/ui/stream.ts";
import { formatPercent } from "../../../contract/versions/traffic.ts";
import type { FunctionEntry } from "../../proxy/function-entry.ts";
import type { QueueStats } from "../../queue/stats.ts";
import type { RecentRate } from "./function-series.ts";
import type { TopicRows } from "./live-stream.ts";

/** @param callsOf calls of a function that have ended, ever */
export function functionRows(
  entries: Iterable<FunctionEntry>,
  rateOf: (name: string) => RecentRate,
  callsOf: (name: string) => number,
): TopicRows {
  const rows: Record<string, FunctionRow> = {};
  for (const entry of entries) {
    if (entry.isBeside) continue;
    const { qualifiedName, snapshot, wholeMeter, held } = entry;
    const { name, namespace, labels, annotations, replicas, problem, traffic, rollout } = snapshot;
    const { rate, errors, p95Ms, spark } = rateOf(qualifiedName);
    rows[qualifiedName] = {
      name,
      namespace,
      labels,
      annotations,
      replicas,
      available: entry.readyReplicas,
      calls: callsOf(qualifiedName),
      rate: round(rate),
      errors: round(errors, 10_000),
      ...(p95Ms !== undefined && { p95Ms: round(p95Ms) }),
      inFlight: wholeMeter.inFlight,
      held: held.count,
      ...(problem !== undefined && { problem }),
      ...(traffic && {
        traffic: traffic.map(({ version, share }) => `${version}=${formatPercent(share)}`).join(","),
      }),
      ...(rollout && { rollout }),
      spark: spark.map((value) => round(value)),
    };
  }
  return { rows };
}

/** Per queue, of what each function has in it. */
export function queueRows({ functions }: QueueStats): TopicRows {
  const rows: Record<string, QueueRow> = {};
  for (const { queue, waiting, inFlight, dead, oldestMs, acceptedPerSecond, finishedPerSecond } of functions) {
    const before = rows[queue];
    const oldest = Math.max(before?.oldestMs ?? 0, oldestMs);
    rows[queue] = {
      queue,
      waiting: (before?.waiting ?? 0) + waiting,
      running: (before?.running ?? 0) + inFlight,
      dead: (before?.dead ?? 0) + dead,
      ...(oldest > 0 && { oldestMs: Math.round(oldest / 1000) * 1000 }),
      published: round((before?.published ?? 0) + acceptedPerSecond),
      finished: round((before?.finished ?? 0) + finishedPerSecond),
    };
  }
  return { rows };
}

/** What is known of a broker's events. */
export interface BrokerCounts {
  readonly broker: { readonly namespace: string; readonly name: string };
  readonly events: number;
  readonly pending: number;
  readonly open: Readonly<Record<string, number>>;
  readonly dead: number;
}

export function brokerRows(stats: readonly BrokerCounts[]): TopicRows {
  const rows: Record<string, LiveBroker> = {};
  for (const { broker, events, pending, open, dead } of stats) {
    const { namespace, name } = broker;
    const waiting = Object.values(open).reduce((all, count) => all + count, 0);
    rows[`${name}.${namespace}`] = { namespace, broker: name, events, pending, open: waiting, dead };
  }
  return { rows };
}

export function platformRows(parts: readonly PlatformRow[]): TopicRows {
  return { rows: Object.fromEntries(parts.map((part) => [part.part, part])) };
}

function round(value: number, parts = 100): number {
  return Math.round(value * parts) / parts;
}
