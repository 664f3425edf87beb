import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { TrustedProxies } from "../../http/client-address.ts";
import type { Logger } from "../../kit/log.ts";
import { moduleUrl } from "../../kit/module-url.ts";
import { StartError } from "../../kit/process.ts";
import { type Handler, listen } from "../../kit/server.ts";
import type { PathPrefix } from "../core/path-prefix.ts";
import type { ProviderClient } from "../provider-client.ts";
import type { FunctionEntry } from "../proxy/function-entry.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { RoutedRequests } from "../proxy/routed-requests.ts";
import type { CallObserver } from "../telemetry/call-record.ts";
import type { Sampler } from "../telemetry/sampler.ts";
import { relayed } from "../workers/relayed.ts";
import { MAIN_THREAD, type SharedCounters } from "../workers/shared-counters.ts";
import { SharedOccupancy } from "../workers/shared-occupancy.ts";
import { WorkerPool } from "../workers/worker-pool.ts";
import type { GatewayConfig } from "./config.ts";
import { acceptsUpgrade, type CallListenerConfig } from "./listen-for-calls.ts";
import type { TableConfig } from "./open-table.ts";

/** What a worker's thread is given. */
export interface WorkerSettings {
  readonly config: CallListenerConfig &
    Omit<TableConfig, "providerUrl"> &
    Pick<GatewayConfig, "pathPrefix" | "scaleUpTimeoutMs" | "logLevel">;
  readonly providerUrl: string;
  /** Which traces are recorded; absent unless calls are traced. */
  readonly sampler: Sampler | undefined;
  /** Whether the main thread wants to know of each call. */
  readonly observed: boolean;
  /** Whether it writes each of them down. */
  readonly logged: boolean;
  /** Where the clock of the main thread begins. */
  readonly timeOrigin: number;
  /** Number of the thread, from 1. */
  readonly thread: number;
  /** All, the main one included. */
  readonly threads: number;
  /** Where the main thread takes what is not for workers. */
  readonly socketPath: string;
  /** Connections of all workers that have changed their protocol. */
  readonly upgraded: SharedArrayBuffer;
  readonly maxConnections: number;
  readonly release: string;
}

export interface WorkerParts {
  readonly config: GatewayConfig;
  /** At least 2. */
  readonly workers: number;
  /** The gateway as it is with one thread: for all that workers do not do themselves. */
  readonly handler: Handler;
  readonly table: FunctionTable;
  readonly counters: SharedCounters;
  readonly provider: ProviderClient;
  readonly wake: (entry: FunctionEntry) => void;
  /** Told of each call; absent where nobody wants to know. */
  readonly observer: CallObserver | undefined;
  /** Of all callers, and to functions, together. */
  readonly maxConnections: number;
  readonly pathPrefix: PathPrefix;
  readonly routes: Pick<RoutedRequests, "leads">;
  readonly release: string;
  readonly log: Logger;
}

export interface OpenWorkers {
  readonly url: string;
  readonly pool: WorkerPool;
  /** Refuses new calls and lets those under way finish, in all threads at the same time. */
  drain(timeoutMs: number): Promise<void>;
}

/** Workers close connections that they do not need; a request must not meet one that is just being closed here. */
const KEEP_ALIVE_MS = 10 * 60_000;

/** What workers have passed on has been answered by then, but for what was cut. */
const LAST_ANSWERS_MS = 1_000;

/**
 * Opens the gateway's API to its callers in several threads, which share the port.
 * @throws {StartError} when a certificate cannot be used, or there is no room for a socket; the listen error when the port is taken
 */
export async function openWorkers(parts: WorkerParts): Promise<OpenWorkers> {
  const { config, workers, handler, table, counters, provider, wake, observer, maxConnections, log } = parts;
  const folder = await makeFolder();
  const closing: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  const close = async () => {
    for (const part of closing.splice(0).reverse()) await part();
  };
  try {
    const socketPath = join(folder, "main.sock");
    const { trustedProxies } = config.front;
    const trusted = trustedProxies.length > 0 ? new TrustedProxies(trustedProxies) : undefined;
    const inner = await listen(relayed(handler, trusted), {
      port: 0,
      host: `unix:${socketPath}`,
      socketMode: 0o600,
      server: { requestTimeout: config.readTimeoutMs, keepAliveTimeout: KEEP_ALIVE_MS },
      // Workers count what is passed on here; callers have the other half.
      limits: { maxConnections: Math.floor(maxConnections / 2) },
      upgrades: {
        accepts: acceptsUpgrade(parts),
        idleMs: config.upgradeIdleMs,
        max: config.maxUpgrades,
      },
      log,
    });
    closing.push(() => inner.drain(LAST_ANSWERS_MS));
    const upgraded = new SharedOccupancy(SharedOccupancy.allocate(workers + 1), MAIN_THREAD);
    const pool = new WorkerPool({
      workers,
      start: (thread) => startThread(settingsOf(parts, socketPath, upgraded.buffer, thread)),
      forget: (thread) => upgraded.forget(thread),
      table,
      counters,
      wake,
      doubt: (entry, replaced) => provider.doubt(entry, replaced),
      expedite: (ref) => provider.expediteFunction(ref),
      observed: (record) => observer?.end(record),
      leftOut: (counts) => observer?.leaveOut?.(counts),
      log,
    });
    closing.push(() => pool.close());
    const { url } = await pool.listen(config.port);
    return {
      url,
      pool,
      drain: async (timeoutMs) => {
        await pool.stop(timeoutMs);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Of the socket between the threads, for this user alone. */
async function makeFolder(): Promise<string> {
  try {
    return await mkdtemp(join(tmpdir(), "faaslane-"));
  } catch (cause) {
    const why = `${(cause as Error).message}; set TMPDIR to a folder that can be written, or gateway_workers to 1`;
    throw new StartError(`gateway_workers: cannot make a folder for temporary files: ${why}`, { cause });
  }
}

function settingsOf(
  parts: WorkerParts,
  socketPath: string,
  upgraded: SharedArrayBuffer,
  thread: number,
): WorkerSettings {
  const { config, workers, observer, maxConnections, release } = parts;
  return {
    config: configOf(config),
    providerUrl: config.providerUrl.href,
    sampler: config.tracing?.sampler,
    observed: observer !== undefined,
    logged: config.accessLog.kind !== "off",
    timeOrigin: performance.timeOrigin,
    thread,
    threads: workers + 1,
    socketPath,
    upgraded,
    maxConnections: Math.ceil(maxConnections / workers),
    release,
  };
}

/** What of it workers need, all of which can be sent to them. */
function configOf(config: GatewayConfig): WorkerSettings["config"] {
  const { port, bindAddress, socketMode, front, pathPrefix, readTimeoutMs, http2, upgradeIdleMs, maxUpgrades } = config;
  const { functionSecretsPath } = config;
  const { defaultNamespace, maxHeldCalls, upstreamTimeoutMs, upstreamTimeoutGiven, scaleUpTimeoutMs, logLevel } =
    config;
  return {
    functionSecretsPath,
    port,
    bindAddress,
    socketMode,
    front,
    pathPrefix,
    readTimeoutMs,
    http2,
    upgradeIdleMs,
    maxUpgrades,
    defaultNamespace,
    maxHeldCalls,
    upstreamTimeoutMs,
    upstreamTimeoutGiven,
    scaleUpTimeoutMs,
    logLevel,
  };
}

function startThread(settings: WorkerSettings): Worker {
  return new Worker(moduleUrl("./worker-main", import.meta.url), {
    name: `faaslane-worker-${settings.thread}`,
    workerData: settings,
    env: {},
    // Type stripping says that it is young.
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
}
