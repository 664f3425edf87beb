import { DEFAULT_NAMESPACE } from "../../contract/paths.ts";
import { parseBindHost, parseServerUrl } from "../../kit/bind-address.ts";
import type { EnvReader } from "../../kit/env.ts";
import { LOG_LEVELS, type LogLevel } from "../../kit/log.ts";
import { oneOf, parseBoolean, parseDuration, parsePort, parseText } from "../../kit/parse.ts";
import { readGatewayUrl } from "./async-config.ts";
import { DEFAULT_UPSTREAM_TIMEOUT_MS } from "./config.ts";
import { readTracingConfig, type TracingConfig } from "./telemetry-config.ts";

/** What every process has that makes calls through the gateway. */
export interface WorkerProcessConfig {
  readonly bindAddress: string;
  readonly metricsPort: number;
  /** Whose functions are called, as the gateway knows them. */
  readonly providerUrl: URL;
  readonly gatewayUrl: URL;
  readonly defaultNamespace: string;
  readonly basicAuth: boolean;
  /** Folder of the credentials of the platform and for NATS. */
  readonly secretMountPath: string;
  /** As the gateway has them, in milliseconds. */
  readonly upstreamTimeoutMs: number;
  readonly upstreamTimeoutGiven: boolean;
  readonly scaleUpTimeoutMs: number;
  /** How long a stop waits for what is under way, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
  /** Absent unless calls are traced. */
  readonly tracing: TracingConfig | undefined;
}

/** @param own its usual port of metrics, and its name among the traces */
export function readWorkerProcessConfig(
  read: EnvReader,
  own: { readonly metricsPort: number; readonly service: string },
): WorkerProcessConfig {
  const upstreamTimeoutMs = read.optional("upstream_timeout", parseDuration);
  return {
    bindAddress: read.optional("bind_address", parseBindHost) ?? "127.0.0.1",
    metricsPort: read.optional("metrics_port", parsePort) ?? own.metricsPort,
    providerUrl: read.optional("functions_provider_url", parseServerUrl) ?? new URL("http://127.0.0.1:8081/"),
    gatewayUrl: readGatewayUrl(read),
    defaultNamespace: read.optional("function_namespace", parseText) ?? DEFAULT_NAMESPACE,
    basicAuth: read.optional("basic_auth", parseBoolean) ?? true,
    secretMountPath: read.optional("secret_mount_path", parseText) ?? "/run/secrets/",
    upstreamTimeoutMs: upstreamTimeoutMs ?? DEFAULT_UPSTREAM_TIMEOUT_MS,
    upstreamTimeoutGiven: upstreamTimeoutMs !== undefined,
    scaleUpTimeoutMs: read.optional("scale_up_timeout", parseDuration) ?? 60_000,
    drainTimeoutMs: read.optional("drain_timeout", parseDuration) ?? 10_000,
    logLevel: read.optional("log_level", oneOf<LogLevel>(...LOG_LEVELS)) ?? "info",
    tracing: readTracingConfig(read, own.service),
  };
}
