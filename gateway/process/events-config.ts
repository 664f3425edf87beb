import type { EnvReader } from "../../kit/env.ts";
import { integerFrom, oneOf, parseBoolean, parseBytes, parseDuration } from "../../kit/parse.ts";
import { type NatsConfig, parseServers } from "./async-config.ts";

interface EventLimits {
  /** Of one event: attributes, headers and data. */
  readonly maxEventBytes: number;
  /** How long events are kept, in milliseconds, by brokers that do not say. */
  readonly maxAgeMs: number;
  /** Of events and data of such a broker. */
  readonly maxBrokerBytes: number;
  /** Deliveries under way at a time in this process. */
  readonly concurrency: number;
  /** Whether everybody who sends events has to log in. */
  readonly ingressAuth: boolean;
  /** Names of headers, attributes and fields that are not shown of events, beside those that look like secrets. */
  readonly redact: readonly string[];
  /** Whether this process delivers events itself; otherwise event workers do. */
  readonly ownWorker: boolean;
}

export interface EmbeddedEventsConfig extends EventLimits {
  readonly kind: "embedded";
  /** File of the events. */
  readonly path: string;
}

export interface JetStreamEventsConfig extends EventLimits, NatsConfig {
  readonly kind: "jetstream";
}

/** Where events are kept. `none` leaves `/broker/` and what belongs to it out. */
export type EventsConfig = { readonly kind: "none" } | EmbeddedEventsConfig | JetStreamEventsConfig;

const KINDS = ["embedded", "jetstream", "none"] as const;
const MIN_EVENT_BYTES = 64 * 1024;
const MAX_EVENT_BYTES = 64 * 1024 ** 2;
const MIN_AGE_MS = 1_000;

/** @param dataDir where embedded events are kept; that is not offered without */
export function readEventsConfig(
  read: EnvReader,
  { queue, nats }: { readonly queue: { readonly kind: EventsConfig["kind"] }; readonly nats?: NatsConfig | undefined },
  dataDir?: string,
): EventsConfig {
  const asked = read.optional("events", oneOf(...(dataDir === undefined ? (["jetstream"] as const) : KINDS)));
  const kind = asked ?? queue.kind;
  const limits: EventLimits = {
    maxEventBytes: read.optional("events_max_event", parseEventBytes) ?? 1024 ** 2,
    maxAgeMs: read.optional("events_max_age", parseAge) ?? 24 * 3600_000,
    maxBrokerBytes: read.optional("events_max_bytes", parseBytes) ?? 1024 ** 3,
    concurrency: read.optional("events_concurrency", integerFrom(1)) ?? 64,
    ingressAuth: read.optional("events_ingress_auth", parseBoolean) ?? false,
    redact: read.optional("events_redact", parseList) ?? [],
    ownWorker: dataDir === undefined || (read.optional("events_worker", parseBoolean) ?? kind === "embedded"),
  };
  if (kind === "none") return { kind };
  if (kind === "embedded") return { kind, path: `${dataDir}/events.db`, ...limits };
  const { servers = read.required("nats_url", parseServers), replicas = 1, storage = "file" } = nats ?? {};
  return { kind, servers, replicas, storage, ...limits };
}

/** Anything less would not do for what has to pass everywhere. @see CloudEvents 1.0.2 §"Size Limits" */
function parseEventBytes(text: string): number {
  const bytes = parseBytes(text);
  if (bytes < MIN_EVENT_BYTES || bytes > MAX_EVENT_BYTES) throw new Error("must be from 64Ki to 64Mi");
  return bytes;
}

function parseList(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  return names.filter((name) => name !== "");
}

function parseAge(text: string): number {
  const ms = parseDuration(text);
  if (ms < MIN_AGE_MS) throw new Error("must be at least 1s");
  return ms;
}
