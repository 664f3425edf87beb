import { formatBytes } from "../../contract/bytes.ts";
import { isQueueName } from "../../contract/names.ts";
import type { EnvReader } from "../../kit/env.ts";
import { ANY_TARGET, type CallbackTargetRules, CallbackTargets } from "../../kit/outbound/targets.ts";
import { integerFrom, oneOf, parseBoolean, parseBytes, parseDuration, parsePort, parseUrl } from "../../kit/parse.ts";
import type { RetryPolicy } from "../core/retry-policy.ts";
import { DEFAULT_RESERVED_BYTES, MIN_RESERVED_BYTES } from "../queue/reserved-bytes.ts";
import type { CallLimits } from "../queue/stats.ts";

/** Where accepted calls wait. `none` leaves `/async-function/` out. */
export type QueueConfig = { readonly kind: "none" } | EmbeddedConfig | JetStreamConfig;

interface QueueLimits {
  readonly maxBodyBytes: number;
  /** How long results are kept, in milliseconds; 0 keeps none. */
  readonly resultTtlMs: number;
  readonly maxResultBytes: number;
  /** Unfinished calls that are taken; what is absent is for the queue to say. */
  readonly callLimits: Partial<CallLimits>;
}

export interface EmbeddedConfig extends QueueLimits {
  readonly kind: "embedded";
  /** File of the queue. */
  readonly path: string;
  /** Of its disk, in bytes: with less, no new calls are taken. Absent where that depends on the disk. */
  readonly minFreeBytes?: number;
}

/** NATS, and how what is kept there is stored. */
export interface NatsConfig {
  /** `nats://host:port` or `tls://host:port`. */
  readonly servers: readonly string[];
  readonly replicas: number;
  readonly storage: "file" | "memory";
}

export interface JetStreamConfig extends QueueLimits, NatsConfig {
  readonly kind: "jetstream";
  /** A worker that has been silent for so long is taken for dead, in milliseconds. */
  readonly ackWaitMs: number;
  /** What its streams reserve on each server, in bytes. */
  readonly reservedBytes: number;
}

/** How calls are taken from the queue and made. */
export interface WorkerConfig {
  /** Calls under way at a time in this process. */
  readonly concurrency: number;
  /** Calls of a function at a time, per replica that does not say how many it takes. */
  readonly perFunction: number;
  /** Queues to take from; absent for all. */
  readonly queues?: readonly string[];
  readonly callbackTimeoutMs: number;
  /** Retry policy of functions whose annotations say nothing else. */
  readonly retry: RetryPolicy;
}

/** What gateway and queue worker both read. */
export interface AsyncConfig {
  readonly queue: QueueConfig;
  /** Wherever it is named, also when the queue is another. */
  readonly nats?: NatsConfig;
  readonly worker: WorkerConfig;
  /** Where callbacks may go. */
  readonly callbackTargets: CallbackTargetRules;
  /** Folder that holds the credentials for NATS and the secret that signs callbacks, as files. */
  readonly secretMountPath: string;
}

/** @param dataDir where the embedded queue is kept; it is not offered without */
export function readAsyncConfig(read: EnvReader, secretMountPath: string, dataDir?: string): AsyncConfig {
  const limits = {
    maxBodyBytes: read.optional("async_max_body", parseBytes) ?? 10 * 1024 ** 2,
    resultTtlMs: read.optional("async_result_ttl", parseDuration) ?? 15 * 60_000,
    maxResultBytes: read.optional("async_max_result", parseBytes) ?? 1024 ** 2,
    callLimits: readCallLimits(read),
  };
  const queues = read.optional("async_queues", parseQueues);
  return {
    ...readQueue(read, limits, dataDir),
    worker: {
      concurrency: read.optional("async_concurrency", integerFrom(1)) ?? 64,
      perFunction: read.optional("async_function_concurrency", integerFrom(1)) ?? 16,
      ...(queues && { queues }),
      callbackTimeoutMs: read.optional("callback_timeout", parseDuration) ?? 30_000,
      retry: {
        attempts: read.optional("max_retry_attempts", integerFrom(0)) ?? 10,
        codes: read.optional("retry_http_codes", parseCodes) ?? [408, 429, 500, 502, 503, 504],
        minWaitMs: read.optional("initial_retry_wait", parseDuration) ?? 10_000,
        maxWaitMs: read.optional("max_retry_wait", parseDuration) ?? 120_000,
      },
    },
    callbackTargets: readTargets(read),
    secretMountPath,
  };
}

/** Where callbacks, and events, may go. */
export function readTargets(read: EnvReader): CallbackTargetRules {
  return {
    private: read.optional("callback_private", parseBoolean) ?? ANY_TARGET.private,
    allow: read.optional("callback_allow", parseTargets("allow")) ?? ANY_TARGET.allow,
    deny: read.optional("callback_deny", parseTargets("deny")) ?? ANY_TARGET.deny,
  };
}

function readCallLimits(read: EnvReader): Partial<CallLimits> {
  const given = {
    calls: read.optional("async_max_calls", integerFrom(1)),
    bytes: read.optional("async_max_bytes", parseBytes),
    functionCalls: read.optional("async_function_max_calls", integerFrom(1)),
    functionBytes: read.optional("async_function_max_bytes", parseBytes),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function readQueue(
  read: EnvReader,
  limits: QueueLimits,
  dataDir: string | undefined,
): Pick<AsyncConfig, "queue" | "nats"> {
  const kinds = dataDir === undefined ? (["jetstream"] as const) : (["embedded", "jetstream", "none"] as const);
  const asked = read.optional("queue", oneOf<QueueConfig["kind"]>(...kinds));
  const { servers, ...nats } = readServers(read);
  const ackWaitMs = read.optional("ack_wait", parseDuration) ?? 30_000;
  const reservedBytes = read.optional("nats_reserved_bytes", parseReserved) ?? DEFAULT_RESERVED_BYTES;
  const minFreeBytes = dataDir === undefined ? undefined : read.optional("async_min_free", parseBytes);
  const kind = asked ?? (servers || dataDir === undefined ? "jetstream" : "embedded");
  const named = servers && { nats: { servers, ...nats } };
  if (kind === "none") return { queue: { kind }, ...named };
  if (kind === "embedded") {
    const floor = minFreeBytes === undefined ? {} : { minFreeBytes };
    return { queue: { kind, path: `${dataDir}/queue.db`, ...floor, ...limits }, ...named };
  }
  const needed = { servers: servers ?? read.required("nats_url", parseServers), ...nats };
  return { queue: { kind, ...needed, ackWaitMs, reservedBytes, ...limits }, nats: needed };
}

function readServers(
  read: EnvReader,
): Omit<NatsConfig, "servers"> & { readonly servers: readonly string[] | undefined } {
  const urls = read.optional("nats_url", parseServers);
  const host = read.optional("faas_nats_address", parseHost);
  const port = read.optional("faas_nats_port", parsePort) ?? 4222;
  return {
    servers: urls ?? (host === undefined ? undefined : [`nats://${host}:${port}`]),
    replicas: read.optional("nats_stream_replicas", integerFrom(1)) ?? 1,
    storage: read.optional("nats_storage", oneOf<"file" | "memory">("file", "memory")) ?? "file",
  };
}

/** NATS, for those that cannot do without it. */
export function readNats(read: EnvReader): NatsConfig {
  const { servers, ...nats } = readServers(read);
  return { servers: servers ?? read.required("nats_url", parseServers), ...nats };
}

function parseReserved(text: string): number {
  const bytes = parseBytes(text);
  if (bytes < MIN_RESERVED_BYTES) throw new Error(`must be at least ${formatBytes(MIN_RESERVED_BYTES)}`);
  return bytes;
}

export function parseServers(text: string): string[] {
  return list(text).map((server) => {
    const url = URL.canParse(server) ? new URL(server) : undefined;
    if ((url?.protocol !== "nats:" && url?.protocol !== "tls:") || url.hostname === "") {
      throw new Error("must be URLs such as nats://host:4222 or tls://host:4222, separated by commas");
    }
    // Environments end up in logs, core dumps and `kubectl describe`.
    if (url.username !== "" || url.password !== "") throw new Error("must hold no credentials: they are files");
    return `${url.protocol}//${url.host}`;
  });
}

function parseHost(text: string): string {
  if (!/^[\w.-]+$|^\[[\da-fA-F:.]+\]$/.test(text)) throw new Error("must be a host without a port");
  return text;
}

function parseCodes(text: string): number[] {
  const codes = text.split(",").map((code) => Number(code.trim()));
  if (codes.some((code) => !Number.isInteger(code) || code < 400 || code > 599)) {
    throw new Error("must be HTTP status codes from 400 to 599, separated by commas");
  }
  return codes;
}

function parseQueues(text: string): string[] {
  const names = list(text);
  if (names.length === 0 || !names.every(isQueueName)) {
    throw new Error("must be names of lower-case letters, digits, - and _, separated by commas");
  }
  return names;
}

/** Entries of a list of targets; whether each is one is for {@link CallbackTargets} to say. */
function parseTargets(which: "allow" | "deny"): (text: string) => string[] {
  return (text) => {
    const entries = list(text);
    try {
      new CallbackTargets({ ...ANY_TARGET, [which]: entries });
    } catch (cause) {
      throw new Error(`must be addresses, networks or hosts, separated by commas: ${(cause as Error).message}`, {
        cause,
      });
    }
    return entries;
  };
}

function list(text: string): string[] {
  const entries = text.split(",").map((entry) => entry.trim());
  return entries.filter((entry) => entry !== "");
}

/** Whether the gateway drains the queue itself. */
export function readOwnWorker(read: EnvReader, queue: QueueConfig): boolean {
  return read.optional("async_worker", parseBoolean) ?? queue.kind === "embedded";
}

/** Where the gateway is, for those who call functions: `gateway_url`, or OpenFaaS's address and port. */
export function readGatewayUrl(read: EnvReader): URL {
  const url = read.optional("gateway_url", parseUrl);
  const host = read.optional("faas_gateway_address", parseHost) ?? "127.0.0.1";
  const port = read.optional("faas_gateway_port", parsePort) ?? 8080;
  return url ?? new URL(`http://${host}:${port}/`);
}
