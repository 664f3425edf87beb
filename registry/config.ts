import { join, resolve } from "node:path";
import { DEFAULT_SOCKET_MODE, parseBindHost, parseSocketMode, readBindAddress } from "../kit/bind-address.ts";
import { DEFAULT_PASSWORD_OVERLAP_MS } from "../kit/credential-files.ts";
import { type Env, type EnvReader, readEnv } from "../kit/env.ts";
import { parseHosts } from "../kit/hosts.ts";
import { LOG_LEVELS, type LogLevel } from "../kit/log.ts";
import { integerFrom, oneOf, parseBoolean, parseBytes, parseDuration, parsePort, parseText } from "../kit/parse.ts";

/** What a registry needs to be told, wherever it runs. */
export interface RegistrySettings {
  readonly port: number;
  /** Or `unix:` and the path of a socket. */
  readonly bindAddress: string;
  /** Permissions of that socket. */
  readonly socketMode: number;
  /** Hosts that it is called by; see `hostsOf`. */
  readonly allowedHosts: readonly string[];
  /** Absolute. */
  readonly folder: string;
  /** Whether images can be pulled without the password. */
  readonly anonymousPull: boolean;
  /** Largest blob, in bytes. */
  readonly maxBlobBytes: number;
  /** Uploads at a time. */
  readonly maxUploads: number;
  /** Longest wait for the next chunk of an upload, in milliseconds. */
  readonly uploadIdleMs: number;
  /** Time between two collections of garbage, in milliseconds; Infinity for none. */
  readonly collectEveryMs: number;
  /** What no image needs is kept for so long after its last use, in milliseconds. */
  readonly graceMs: number;
  /** Manifests without a tag are kept for so long after their last use, in milliseconds; Infinity for good. */
  readonly keepUntaggedMs: number;
}

export interface RegistryConfig extends RegistrySettings {
  readonly basicAuth: boolean;
  /** How long a password still holds that another has taken the place of, in milliseconds. */
  readonly passwordOverlapMs: number;
  /** Folder of `basic-auth-user` and `basic-auth-password`. */
  readonly secretMountPath: string;
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
}

const DEFAULT_PORT = 5000;
const DEFAULT_UPLOAD_IDLE_MS = 10 * 60_000;
const HOUR_MS = 3600e3;

/** Pushes of large images take their time between asking for a blob and naming it. */
const LEAST_GRACE_MS = 60_000;

function parseGrace(text: string): number {
  const ms = parseDuration(text);
  if (ms < LEAST_GRACE_MS) throw new Error("must be at least 1m");
  return ms;
}

function parseLasting(text: string): number {
  return text === "forever" ? Number.POSITIVE_INFINITY : parseDuration(text);
}

function parseEvery(text: string): number {
  return text === "never" ? Number.POSITIVE_INFINITY : parseGrace(text);
}

/**
 * Settings of a registry in a process of its own.
 * @throws {ConfigError} naming every bad variable
 */
export function loadRegistryConfig(env: Env): RegistryConfig {
  return readEnv(env, (read) => {
    const bind = readBindAddress(read);
    return {
      ...readSettings(read, { port: bind.port ?? DEFAULT_PORT, host: bind.host }),
      socketMode: read.optional("socket_mode", parseSocketMode) ?? DEFAULT_SOCKET_MODE,
      basicAuth: read.optional("basic_auth", parseBoolean) ?? true,
      passwordOverlapMs: read.optional("password_overlap", parseDuration) ?? DEFAULT_PASSWORD_OVERLAP_MS,
      secretMountPath: read.optional("secret_mount_path", parseText) ?? "/run/secrets/",
      drainTimeoutMs: read.optional("drain_timeout", parseDuration) ?? 10_000,
      logLevel: read.optional("log_level", oneOf<LogLevel>(...LOG_LEVELS)) ?? "info",
    };
  });
}

/**
 * Settings of a registry beside a gateway, whose `port` and `bind_address` are not its own.
 * @returns undefined unless `registry_port` is set
 * @throws {ConfigError} naming every bad variable
 */
export function loadInnerRegistryConfig(env: Env): RegistrySettings | undefined {
  if (!env.registry_port) return undefined;
  return readEnv(env, (read) => ({
    ...readSettings(read, { port: DEFAULT_PORT, host: "127.0.0.1" }),
    socketMode: DEFAULT_SOCKET_MODE,
  }));
}

function readSettings(
  read: EnvReader,
  defaults: { readonly port: number; readonly host: string },
): Omit<RegistrySettings, "socketMode"> {
  return {
    port: read.optional("registry_port", parsePort) ?? defaults.port,
    bindAddress: read.optional("registry_bind_address", parseBindHost) ?? defaults.host,
    allowedHosts: read.optional("allowed_hosts", parseHosts) ?? [],
    folder: join(resolve(read.optional("data_dir", parseText) ?? ".faaslane"), "registry"),
    anonymousPull: read.optional("registry_anonymous_pull", parseBoolean) ?? false,
    maxBlobBytes: read.optional("registry_max_blob_bytes", parseBytes) ?? 10 * 1024 ** 3,
    maxUploads: read.optional("registry_max_uploads", integerFrom(1)) ?? 64,
    uploadIdleMs: read.optional("registry_upload_idle", parseDuration) ?? DEFAULT_UPLOAD_IDLE_MS,
    collectEveryMs: read.optional("registry_collect_every", parseEvery) ?? HOUR_MS,
    graceMs: read.optional("registry_grace", parseGrace) ?? HOUR_MS,
    keepUntaggedMs: read.optional("registry_keep_untagged", parseLasting) ?? Number.POSITIVE_INFINITY,
  };
}
