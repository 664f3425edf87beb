import { DEFAULT_NAMESPACE } from "../../contract/paths.ts";
import { DEFAULT_SOCKET_MODE, parseServerUrl, parseSocketMode, readBindAddress } from "../../kit/bind-address.ts";
import { DEFAULT_PASSWORD_OVERLAP_MS } from "../../kit/credential-files.ts";
import { type Env, readEnv, type SeenVariable } from "../../kit/env.ts";
import { parseHosts } from "../../kit/hosts.ts";
import { LOG_LEVELS, type LogLevel } from "../../kit/log.ts";
import { integerFrom, oneOf, parseBoolean, parseDuration, parseIdle, parsePort, parseText } from "../../kit/parse.ts";
import { parsePathPrefix } from "../core/path-prefix.ts";
import { type AsyncConfig, readAsyncConfig, readOwnWorker } from "./async-config.ts";
import { type EventsConfig, readEventsConfig } from "./events-config.ts";
import { type FrontConfig, readFrontConfig } from "./front-config.ts";
import { readScalingConfig, type ScalingConfig } from "./scaling-config.ts";
import { type AccessLogConfig, parseAccessLog, readTracingConfig, type TracingConfig } from "./telemetry-config.ts";
import { readUiConfig, type UiConfig } from "./ui-config.ts";
import { parseWorkers } from "./workers-config.ts";

export interface GatewayConfig {
  readonly port: number;
  /** Or `unix:` and the path of a socket, which is the API's. */
  readonly bindAddress: string;
  /** Threads that take calls; where none is given, `defaultWorkers` for a gateway alone, one in a process with others. */
  readonly workers?: number | undefined;
  /** Permissions of that socket. */
  readonly socketMode: number;
  /** Hosts that the control routes are called by; see `hostsOf`. */
  readonly allowedHosts: readonly string[];
  readonly front: FrontConfig;
  /** What callers put before all of our paths, which a proxy takes away of each path in front of us; undefined believes `X-Forwarded-Prefix`. */
  readonly pathPrefix: string | undefined;
  readonly metricsPort: number;
  readonly providerUrl: URL;
  readonly defaultNamespace: string;
  /**
   * Longest wait for a function's response headers, and between two pieces of its body, in milliseconds, where the
   * function does not say how long it may take.
   */
  readonly upstreamTimeoutMs: number;
  /** Whether that was set, so that no function gets less. */
  readonly upstreamTimeoutGiven: boolean;
  /** Longest time a caller may take to send a request, in milliseconds. */
  readonly readTimeoutMs: number;
  /** Longest wait of a call for a replica, in milliseconds. */
  readonly scaleUpTimeoutMs: number;
  /** Whether clients may speak HTTP/2 with prior knowledge too. */
  readonly http2: boolean;
  /** A connection that has changed its protocol is closed when nothing has moved on it for so long, in milliseconds. */
  readonly upgradeIdleMs: number;
  /** Connections at a time that have changed their protocol; a share of all when absent. */
  readonly maxUpgrades?: number | undefined;
  /** Calls of one function that may wait for a replica. */
  readonly maxHeldCalls: number;
  readonly basicAuth: boolean;
  /** How long a password still holds that another has taken the place of, in milliseconds. */
  readonly passwordOverlapMs: number;
  /** Folder of `basic-auth-user` and `basic-auth-password`. */
  readonly secretMountPath: string;
  /** Folder of functions' secrets, `<namespace>/<name>`, by which their callers are checked. */
  readonly functionSecretsPath: string;
  readonly async: AsyncConfig;
  /** Whether the gateway drains the queue itself; otherwise queue workers do. */
  readonly ownWorker: boolean;
  readonly events: EventsConfig;
  readonly scaling: ScalingConfig;
  /** Where it is kept how often functions were called; absent where there is no folder for it. */
  readonly callCountsFile?: string;
  /** Where the dashboard's graphs are kept over a restart; absent as above. */
  readonly seriesFile?: string;
  /** How long calls are still taken when a stop has begun and the health says so, in milliseconds. */
  readonly drainDelayMs: number;
  /** How long a stop then waits for calls under way, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
  readonly accessLog: AccessLogConfig;
  readonly ui: UiConfig;
  /** Absent unless calls are traced. */
  readonly tracing: TracingConfig | undefined;
  /** What all of this was read from. */
  readonly variables: readonly SeenVariable[];
}

export const DEFAULT_UPSTREAM_TIMEOUT_MS = 60_000;

const DEFAULT_UPGRADE_IDLE_MS = 5 * 60_000;

/** @throws {ConfigError} naming every bad variable, so that all can be fixed in one restart. */
export function loadGatewayConfig(env: Env): GatewayConfig {
  return readEnv(env, (read) => {
    const bind = readBindAddress(read);
    const dataDir = read.optional("data_dir", parseText) ?? ".faaslane";
    const secretMountPath = read.optional("secret_mount_path", parseText) ?? "/run/secrets/";
    const async = readAsyncConfig(read, secretMountPath, dataDir);
    const upstreamTimeoutMs = read.optional("upstream_timeout", parseDuration);
    return {
      port: bind.port ?? 8080,
      bindAddress: bind.host,
      workers: read.optional("gateway_workers", parseWorkers(bind.host)),
      socketMode: read.optional("socket_mode", parseSocketMode) ?? DEFAULT_SOCKET_MODE,
      allowedHosts: read.optional("allowed_hosts", parseHosts) ?? [],
      front: readFrontConfig(read),
      pathPrefix: read.optional("base_path", parsePathPrefix) ?? read.optional("path_prefix", parsePathPrefix),
      metricsPort: read.optional("metrics_port", parsePort) ?? 8082,
      providerUrl: read.optional("functions_provider_url", parseServerUrl) ?? new URL("http://127.0.0.1:8081/"),
      defaultNamespace: read.optional("function_namespace", parseText) ?? DEFAULT_NAMESPACE,
      upstreamTimeoutMs: upstreamTimeoutMs ?? DEFAULT_UPSTREAM_TIMEOUT_MS,
      upstreamTimeoutGiven: upstreamTimeoutMs !== undefined,
      readTimeoutMs: read.optional("read_timeout", parseDuration) ?? 60_000,
      scaleUpTimeoutMs: read.optional("scale_up_timeout", parseDuration) ?? 60_000,
      http2: read.optional("http2", parseBoolean) ?? true,
      upgradeIdleMs: read.optional("upgrade_idle_timeout", parseIdle) ?? DEFAULT_UPGRADE_IDLE_MS,
      maxUpgrades: read.optional("max_upgrades", integerFrom(0)),
      maxHeldCalls: read.optional("max_held_calls", integerFrom(1)) ?? 10_000,
      basicAuth: read.optional("basic_auth", parseBoolean) ?? true,
      passwordOverlapMs: read.optional("password_overlap", parseDuration) ?? DEFAULT_PASSWORD_OVERLAP_MS,
      secretMountPath,
      // Where a provider on this machine keeps them.
      functionSecretsPath: read.optional("function_secrets_path", parseText) ?? `${dataDir}/secrets`,
      async,
      ownWorker: readOwnWorker(read, async.queue),
      events: readEventsConfig(read, async, dataDir),
      ui: readUiConfig(read),
      // Next to the queue's file; a gateway whose queue is elsewhere has no folder of its own.
      scaling: readScalingConfig(read, async.queue.kind === "embedded" ? dataDir : undefined),
      ...(async.queue.kind === "embedded" && {
        callCountsFile: `${dataDir}/calls.json`,
        seriesFile: `${dataDir}/series.bin`,
      }),
      drainDelayMs: read.optional("drain_delay", parseDuration) ?? 0,
      drainTimeoutMs: read.optional("drain_timeout", parseDuration) ?? 10_000,
      logLevel: read.optional("log_level", oneOf<LogLevel>(...LOG_LEVELS)) ?? "info",
      accessLog: read.optional("access_log", parseAccessLog) ?? { kind: "off" },
      tracing: readTracingConfig(read, "faaslane-gateway"),
      variables: read.seen,
    };
  });
}
