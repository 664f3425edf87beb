import { resolve } from "node:path";
import { DEFAULT_SOCKET_MODE, parseSocketMode, readBindAddress } from "../kit/bind-address.ts";
import { type Env, readEnv } from "../kit/env.ts";
import { LOG_LEVELS, type LogLevel } from "../kit/log.ts";
import { integerFrom, oneOf, parseBoolean, parseBytes, parseDuration, parseText } from "../kit/parse.ts";
import { lentOf } from "../provider/backends/build/lent-variables.ts";
import { type BuildLimits, DEFAULT_BUILD_LIMITS } from "../provider/backends/build/limits.ts";
import { type ImageSettings, readImageSettings } from "../provider/backends/images/settings.ts";

export interface BuilderConfig {
  readonly port: number;
  /** Or `unix:` and the path of a socket. */
  readonly bindAddress: string;
  /** Permissions of that socket. */
  readonly socketMode: number;
  /** Absolute folder of unfinished work. */
  readonly dataDir: string;
  /** Whether requests need no signature. */
  readonly disableHmac: boolean;
  /** Folder of `payload-secret`, and of the platform's own user and password where the registry takes them. */
  readonly secretMountPath: string;
  readonly images: ImageSettings;
  readonly limits: BuildLimits;
  /** Largest tar as it is sent, in bytes. */
  readonly maxUploadBytes: number;
  /** What install steps see of the process's own environment. */
  readonly stepEnvironment: Readonly<Record<string, string | undefined>>;
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
}

const DEFAULT_PORT = 8080;

/** Images that name no registry are Docker Hub's here, as for OpenFaaS's builder. */
const HUB = "docker.io";

/** @throws {ConfigError} naming every bad variable, so that all can be fixed in one restart */
export function loadBuilderConfig(env: Env): BuilderConfig {
  return readEnv(env, (read) => {
    const bind = readBindAddress(read);
    return {
      port: bind.port ?? DEFAULT_PORT,
      bindAddress: bind.host,
      socketMode: read.optional("socket_mode", parseSocketMode) ?? DEFAULT_SOCKET_MODE,
      dataDir: resolve(read.optional("data_dir", parseText) ?? ".faaslane-builder"),
      disableHmac: read.optional("disable_hmac", parseBoolean) ?? false,
      secretMountPath: read.optional("secret_mount_path", parseText) ?? "/run/secrets/",
      images: readImageSettings(read, HUB),
      limits: {
        maxContextBytes: read.optional("build_max_bytes", parseBytes) ?? DEFAULT_BUILD_LIMITS.maxContextBytes,
        maxEntries: read.optional("build_max_entries", integerFrom(1)) ?? DEFAULT_BUILD_LIMITS.maxEntries,
        maxOutputBytes: DEFAULT_BUILD_LIMITS.maxOutputBytes,
        timeoutMs: read.optional("build_timeout", parseDuration) ?? DEFAULT_BUILD_LIMITS.timeoutMs,
        concurrency: read.optional("build_concurrency", integerFrom(1)) ?? DEFAULT_BUILD_LIMITS.concurrency,
        maxWaiting: read.optional("build_max_waiting", integerFrom(0)) ?? DEFAULT_BUILD_LIMITS.maxWaiting,
      },
      maxUploadBytes: read.optional("build_max_upload_bytes", parseBytes) ?? 256 * 1024 ** 2,
      stepEnvironment: { PATH: env.PATH, LANG: env.LANG, LC_ALL: env.LC_ALL, TZ: env.TZ, ...lentOf(env) },
      drainTimeoutMs: read.optional("drain_timeout", parseDuration) ?? 10_000,
      logLevel: read.optional("log_level", oneOf<LogLevel>(...LOG_LEVELS)) ?? "info",
    };
  });
}
