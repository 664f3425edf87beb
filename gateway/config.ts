import { DEFAULT_NAMESPACE } from "../provider/contract/paths.ts";
import { type Env, readEnv } from "../provider/kit/env.ts";
import { LOG_LEVELS, type LogLevel } from "../provider/kit/log.ts";
import {
  integerFrom,
  oneOf,
  parseBoolean,
  parseBytes,
  parseDuration,
  parsePort,
  parseText,
  parseUrl,
} from "../provider/kit/parse.ts";
import type { RetryPolicy } from "./core/retry-policy.ts";

export interface GatewayConfig {
  readonly port: number;
  readonly bindAddress: string;
  readonly metricsPort: number;
  readonly providerUrl: URL;
  readonly defaultNamespace: string;
  /** Longest wait for a function's response headers, and between two pieces of its body, in milliseconds. */
  readonly upstreamTimeoutMs: number;
  /** Longest time a caller may take to send a request, in milliseconds. */
  readonly readTimeoutMs: number;
  /** Longest wait of a call for a replica, in milliseconds. */
  readonly scaleUpTimeoutMs: number;
  /** Calls of one function that may wait for a replica. */
  readonly maxHeldCalls: number;
  readonly basicAuth: boolean;
  /** Folder of `basic-auth-user` and `basic-auth-password`. */
  readonly secretMountPath: string;
  readonly async: AsyncConfig;
  /** How long a stop waits for calls under way, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
}

/** `none` leaves `/async-function/` out. */
export type AsyncConfig =
  | { readonly kind: "none" }
  | {
      readonly kind: "embedded";
      /** File of the queue. */
      readonly path: string;
      readonly maxBodyBytes: number;
      /** Calls under way at a time, in all and per function. */
      readonly concurrency: number;
      readonly perFunction: number;
      readonly callbackTimeoutMs: number;
      /** Retry policy of functions whose annotations say nothing else. */
      readonly retry: RetryPolicy;
    };

function parseCodes(text: string): number[] {
  const codes = text.split(",").map((code) => Number(code.trim()));
  if (codes.some((code) => !Number.isInteger(code) || code < 400 || code > 599)) {
    throw new Error("must be HTTP status codes from 400 to 599, separated by commas");
  }
  return codes;
}

/** @throws {ConfigError} naming every bad variable, so one restart mends them all. */
export function loadConfig(env: Env): GatewayConfig {
  return readEnv(env, (read) => {
    const dataDir = read.optional("data_dir", parseText) ?? ".faaslane";
    const embedded = {
      kind: "embedded" as const,
      path: `${dataDir}/queue.db`,
      maxBodyBytes: read.optional("async_max_body", parseBytes) ?? 10 * 1024 ** 2,
      concurrency: read.optional("async_concurrency", integerFrom(1)) ?? 64,
      perFunction: read.optional("async_function_concurrency", integerFrom(1)) ?? 16,
      callbackTimeoutMs: read.optional("callback_timeout", parseDuration) ?? 30_000,
      retry: {
        attempts: read.optional("max_retry_attempts", integerFrom(1)) ?? 10,
        codes: read.optional("retry_http_codes", parseCodes) ?? [408, 429, 500, 502, 503, 504],
        minWaitMs: read.optional("initial_retry_wait", parseDuration) ?? 10_000,
        maxWaitMs: read.optional("max_retry_wait", parseDuration) ?? 120_000,
      },
    };
    return {
      port: read.optional("port", parsePort) ?? 8080,
      bindAddress: read.optional("bind_address", parseText) ?? "127.0.0.1",
      metricsPort: read.optional("metrics_port", parsePort) ?? 8082,
      providerUrl: read.optional("functions_provider_url", parseUrl) ?? new URL("http://127.0.0.1:8081/"),
      defaultNamespace: read.optional("function_namespace", parseText) ?? DEFAULT_NAMESPACE,
      upstreamTimeoutMs: read.optional("upstream_timeout", parseDuration) ?? 60_000,
      readTimeoutMs: read.optional("read_timeout", parseDuration) ?? 60_000,
      scaleUpTimeoutMs: read.optional("scale_up_timeout", parseDuration) ?? 60_000,
      maxHeldCalls: read.optional("max_held_calls", integerFrom(1)) ?? 10_000,
      basicAuth: read.optional("basic_auth", parseBoolean) ?? true,
      secretMountPath: read.optional("secret_mount_path", parseText) ?? "/run/secrets/",
      async: read.optional("queue", oneOf("embedded", "none")) === "none" ? { kind: "none" } : embedded,
      drainTimeoutMs: read.optional("drain_timeout", parseDuration) ?? 10_000,
      logLevel: read.optional("log_level", oneOf<LogLevel>(...LOG_LEVELS)) ?? "info",
    };
  });
}
