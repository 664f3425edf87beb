import { DEFAULT_NAMESPACE } from "../../../contract/paths.ts";
import { parseBindHost, parseServerUrl } from "../../../kit/bind-address.ts";
import { type Env, readEnv } from "../../../kit/env.ts";
import { LOG_LEVELS, type LogLevel } from "../../../kit/log.ts";
import { oneOf, parseBoolean, parseDuration, parsePort, parseText } from "../../../kit/parse.ts";
import { type AsyncConfig, readGatewayUrl, readNats, readTargets } from "../async-config.ts";
import { DEFAULT_UPSTREAM_TIMEOUT_MS } from "../config.ts";
import { type JetStreamEventsConfig, readEventsConfig } from "../events-config.ts";
import { readTracingConfig, type TracingConfig } from "../telemetry-config.ts";

export interface EventWorkerConfig {
  readonly bindAddress: string;
  readonly metricsPort: number;
  /** Whose functions are called, as the gateway knows them. */
  readonly providerUrl: URL;
  readonly gatewayUrl: URL;
  readonly defaultNamespace: string;
  readonly basicAuth: boolean;
  /** As the gateway has them, in milliseconds. */
  readonly upstreamTimeoutMs: number;
  readonly upstreamTimeoutGiven: boolean;
  readonly scaleUpTimeoutMs: number;
  readonly events: JetStreamEventsConfig;
  /** Where events may go outside. */
  readonly callbackTargets: AsyncConfig["callbackTargets"];
  /** Folder of the credentials of the platform and for NATS. */
  readonly secretMountPath: string;
  /** Folder of functions' secrets, `<namespace>/<name>`, which sources and sinks name. */
  readonly functionSecretsPath: string;
  /** How long a stop waits for deliveries under way, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
  /** Absent unless calls are traced. */
  readonly tracing: TracingConfig | undefined;
}

/** @throws {ConfigError} naming every bad variable, so that all can be fixed in one restart. */
export function loadEventWorkerConfig(env: Env): EventWorkerConfig {
  return readEnv(env, (read) => {
    const upstreamTimeoutMs = read.optional("upstream_timeout", parseDuration);
    const nats = readNats(read);
    return {
      bindAddress: read.optional("bind_address", parseBindHost) ?? "127.0.0.1",
      metricsPort: read.optional("metrics_port", parsePort) ?? 8085,
      providerUrl: read.optional("functions_provider_url", parseServerUrl) ?? new URL("http://127.0.0.1:8081/"),
      gatewayUrl: readGatewayUrl(read),
      defaultNamespace: read.optional("function_namespace", parseText) ?? DEFAULT_NAMESPACE,
      basicAuth: read.optional("basic_auth", parseBoolean) ?? true,
      upstreamTimeoutMs: upstreamTimeoutMs ?? DEFAULT_UPSTREAM_TIMEOUT_MS,
      upstreamTimeoutGiven: upstreamTimeoutMs !== undefined,
      scaleUpTimeoutMs: read.optional("scale_up_timeout", parseDuration) ?? 60_000,
      // There is no other kind for a process of its own.
      events: readEventsConfig(read, { queue: { kind: "jetstream" }, nats }) as JetStreamEventsConfig,
      callbackTargets: readTargets(read),
      secretMountPath: read.optional("secret_mount_path", parseText) ?? "/run/secrets/",
      functionSecretsPath: read.optional("function_secrets_path", parseText) ?? "/run/function-secrets",
      drainTimeoutMs: read.optional("drain_timeout", parseDuration) ?? 10_000,
      logLevel: read.optional("log_level", oneOf<LogLevel>(...LOG_LEVELS)) ?? "info",
      tracing: readTracingConfig(read, "faaslane-event-worker"),
    };
  });
}
