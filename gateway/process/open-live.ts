import type { UiGateway } from "../../contract/ui/platform.ts";
import type { PlatformRow } from "../../contract/ui/stream.ts";
import type { Logger } from "../../kit/log.ts";
import type { ProviderClient } from "../provider-client.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { Queue } from "../queue/queue.ts";
import type { Autoscaler } from "../scaling/autoscaler.ts";
import { SLOW_MS, type SlowFrom } from "../telemetry/call-choice.ts";
import type { CallLog } from "../ui/live/call-log.ts";
import { LiveStream, type TopicRows } from "../ui/live/live-stream.ts";
import { type OtherGateways, readQuestion } from "../ui/live/other-gateways.ts";
import { KnownPast } from "../ui/live/past.ts";
import { PastCalls } from "../ui/live/past-calls.ts";
import { SeriesBook } from "../ui/live/series-book.ts";
import { SeriesFile } from "../ui/live/series-file.ts";
import { type BrokerCounts, brokerRows, functionRows, platformRows, queueRows } from "../ui/live/topic-rows.ts";
import { UsageWatch } from "../ui/live/usage-watch.ts";
import { KnownGateways } from "../ui/platform/gateways.ts";

export interface LiveParts {
  readonly table: FunctionTable;
  readonly provider: Pick<ProviderClient, "connected" | "usage">;
  readonly autoscaler: Pick<Autoscaler, "leading">;
  /** Absent where there is no queue. */
  readonly queue: { readonly kind: string; readonly stats: Queue["stats"]; problem(): string | undefined } | undefined;
  /** Absent where there are no events. */
  readonly events:
    | { readonly kind: string; stats(): Promise<readonly BrokerCounts[]>; problem(): string | undefined }
    | undefined;
  readonly callsOf: (name: string) => number;
  /** Absent where no calls are kept. */
  readonly callLog: CallLog | undefined;
  /** Which calls threads are to keep; as of `CallChoice.learn`. */
  readonly keepCalls: (on: boolean, slowFrom: SlowFrom) => void;
  /** Has threads tell what they have counted. */
  readonly settle: () => Promise<void>;
  readonly defaultNamespace: string;
  /** Where series are kept over a restart; absent where there is no place for them. */
  readonly seriesFile: string | undefined;
  /** Absent where this gateway is alone. */
  readonly others: OtherGateways | undefined;
  /** How this gateway is. */
  readonly self: () => UiGateway;
  readonly release: string;
  readonly log: Pick<Logger, "warn">;
}

export interface OpenLive {
  readonly stream: LiveStream;
  readonly past: KnownPast;
  readonly calls: PastCalls;
  readonly gateways: KnownGateways;
  close(): Promise<void>;
}

const MAX_READERS = 100;
const SAMPLE_MS = 1_000;
/** Looks between two at which it is told anew what is slow. */
const LEARN_EVERY = 10;
/** Of fewer calls in a minute, nothing is known of what is usual. */
const MIN_CALLS_A_SECOND = 20 / 60;

/** What the dashboard is told of what goes on. */
export function openLive(parts: LiveParts): OpenLive {
  const {
    table,
    provider,
    autoscaler,
    queue,
    events,
    callsOf,
    callLog,
    settle,
    defaultNamespace,
    others,
    release,
    log,
  } = parts;
  const book = new SeriesBook({ now: Date.now() });
  const file = parts.seriesFile === undefined ? undefined : new SeriesFile({ path: parts.seriesFile, book, log });
  const exists = (name: string) => table.findOwn(name) !== undefined;
  const usage = new UsageWatch({
    measure: (ref) => provider.usage(ref),
    seen: (name, seen) => book.measured(name, seen),
  });
  // Before all functions are known, one may only not be known yet.
  const look = () => book.sample(countedFunctions(table), Date.now(), table.synced);
  const sample = async () => {
    // What other threads count comes in when they tell it: at the same moment, where somebody looks at single seconds.
    if (stream.readers > 0) await settle();
    look();
    if (callLog) lookAtCalls(callLog);
    await usage.look();
  };
  let looks = 0;
  let wasOn = false;
  const lookAtCalls = (calls: CallLog) => {
    if (stream.readers > 0) calls.ask();
    if (calls.on === wasOn && looks++ % LEARN_EVERY !== 0) return;
    const slowFrom = calls.on ? slowFromOf(table, book) : new Map<string, number>();
    calls.look(slowFrom, exists);
    if (calls.on || wasOn) parts.keepCalls(calls.on, slowFrom);
    wasOn = calls.on;
  };
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  // Nobody waits for it: what is counted meanwhile comes in with the first look.
  const recalled = (file?.open() ?? Promise.resolve()).then(() => {
    if (!isClosed) timer = setInterval(() => void sample(), SAMPLE_MS).unref();
  });
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
    stateOf("events", events, events?.kind),
  ];
  const stream = new LiveStream({
    topics: {
      functions: () => functionRows(table.entries(), (name) => book.recent(name), callsOf),
      queue: async () => (queue ? queueRows(await queue.stats()) : nothing("this gateway has no queue (queue=none)")),
      events: async () =>
        events ? brokerRows(await events.stats()) : nothing("this gateway has no events (events=none)"),
      platform: () => platformRows(platform()),
    },
    maxReaders: MAX_READERS,
    log,
  });
  const past = new KnownPast({
    book,
    exists,
    watched: (name) => usage.watch(name),
    others,
    defaultNamespace,
  });
  const calls = new PastCalls({ log: callLog, exists, others, defaultNamespace });
  const gateways = new KnownGateways(parts.self, others);
  others?.onQuestion((given) => {
    const question = readQuestion(given);
    if (question?.kind === "gateway") return gateways.answer();
    return question?.kind === "series" ? past.answer(question) : question && calls.answer(question);
  });
  return {
    stream,
    past,
    calls,
    gateways,
    close: async () => {
      stream.close();
      if (isClosed) return;
      isClosed = true;
      await recalled;
      clearInterval(timer);
      look();
      await file?.close();
    },
  };
}

function* countedFunctions(table: FunctionTable) {
  for (const entry of table.entries()) {
    if (!entry.isBeside) yield entry;
  }
}

/** Slower than most of a function's calls of the last minute, and than a second in any case. */
function slowFromOf(table: FunctionTable, book: SeriesBook): SlowFrom {
  const slowFrom = new Map<string, number>();
  for (const { qualifiedName } of countedFunctions(table)) {
    const { rate, p95Ms } = book.recent(qualifiedName);
    if (p95Ms !== undefined && rate >= MIN_CALLS_A_SECOND) slowFrom.set(qualifiedName, Math.min(p95Ms, SLOW_MS));
  }
  return slowFrom;
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
