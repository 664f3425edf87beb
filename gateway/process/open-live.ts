import type { PlatformRow } from "../../contract/ui/stream.ts";
import type { Logger } from "../../kit/log.ts";
import type { ProviderClient } from "../provider-client.ts";
import { DURATION_BUCKETS } from "../proxy/function-meter.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { Queue } from "../queue/queue.ts";
import type { Autoscaler } from "../scaling/autoscaler.ts";
import { LiveStream, type TopicRows } from "../ui/live/live-stream.ts";
import { RecentRates } from "../ui/live/recent-rates.ts";
import {
  type BrokerCounts,
  brokerRows,
  countedOf,
  functionRows,
  platformRows,
  queueRows,
} from "../ui/live/topic-rows.ts";

export interface LiveParts {
  readonly table: FunctionTable;
  readonly provider: Pick<ProviderClient, "connected">;
  readonly autoscaler: Pick<Autoscaler, "leading">;
  /** Absent where there is no queue. */
  readonly queue: { readonly kind: string; readonly stats: Queue["stats"]; problem(): string | undefined } | undefined;
  /** Absent where there are no events. */
  readonly events: { stats(): Promise<readonly BrokerCounts[]>; problem(): string | undefined } | undefined;
  readonly callsOf: (name: string) => number;
  readonly release: string;
  readonly log: Pick<Logger, "warn">;
}

export interface OpenLive {
  readonly stream: LiveStream;
  close(): Promise<void>;
}

const MAX_READERS = 100;
const SAMPLE_MS = 1_000;

/** What the dashboard is told of what goes on. */
export function openLive(parts: LiveParts): OpenLive {
  const { table, provider, autoscaler, queue, events, callsOf, release, log } = parts;
  const rates = new RecentRates(DURATION_BUCKETS);
  const sample = () => rates.sample(countedFunctions(table));
  const timer = setInterval(sample, SAMPLE_MS).unref();
  const nothing = (problem: string): TopicRows => ({ rows: {}, problem });
  const platform = (): PlatformRow[] => [
    { part: "gateway", state: "ok", release, leads: autoscaler.leading },
    provider.connected
      ? { part: "provider", state: "ok" }
      : {
          part: "provider",
          state: "away",
          problem: "the provider does not answer; what is shown of functions may be old",
        },
    stateOf("queue", queue, queue?.kind),
    stateOf("events", events),
  ];
  const stream = new LiveStream({
    topics: {
      functions: () => functionRows(table.entries(), (name) => rates.read(name), callsOf),
      queue: async () => (queue ? queueRows(await queue.stats()) : nothing("this gateway has no queue (queue=none)")),
      events: async () =>
        events ? brokerRows(await events.stats()) : nothing("this gateway has no events (events=none)"),
      platform: () => platformRows(platform()),
    },
    maxReaders: MAX_READERS,
    log,
  });
  return {
    stream,
    close: async () => {
      clearInterval(timer);
      stream.close();
    },
  };
}

function* countedFunctions(table: FunctionTable) {
  for (const entry of table.entries()) {
    if (!entry.isBeside) yield [entry.qualifiedName, countedOf(entry)] as const;
  }
}

function stateOf(
  part: "queue" | "events",
  opened: { problem(): string | undefined } | undefined,
  kind?: string,
): PlatformRow {
  if (!opened) return { part, state: "off" };
  const problem = opened.problem();
  const what = kind !== undefined && { kind };
  return problem === undefined ? { part, state: "ok", ...what } : { part, state: "away", problem, ...what };
}
