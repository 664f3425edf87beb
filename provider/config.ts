import { resolve } from "node:path";
import { parseGoDuration } from "../contract/duration.ts";
import { DEFAULT_NAMESPACE } from "../contract/paths.ts";
import { DEFAULT_SOCKET_MODE, parseSocketMode, readBindAddress } from "../kit/bind-address.ts";
import { DEFAULT_PASSWORD_OVERLAP_MS } from "../kit/credential-files.ts";
import { type Env, readEnv } from "../kit/env.ts";
import { parseHosts } from "../kit/hosts.ts";
import { LOG_LEVELS, type LogLevel } from "../kit/log.ts";
import {
  integerFrom,
  oneOf,
  parseBoolean,
  parseBytes,
  parseDuration,
  parseIdle,
  parsePort,
  parseText,
  parseUrl,
} from "../kit/parse.ts";
import { lentOf } from "./backends/build/lent-variables.ts";
import {
  type BuildPodSettings,
  type ImageSettings,
  readBuildPodSettings,
  readImageSettings,
} from "./backends/images/settings.ts";
import { type ClusterLocation, readClusterLocation } from "./backends/kubernetes/client/cluster-access.ts";
import { type KubernetesSettings, readKubernetesSettings } from "./backends/kubernetes/resources/read-settings.ts";
import { SANDBOX_SETTINGS, type SandboxSetting } from "./backends/local/sandbox/level.ts";

export const BACKENDS = ["local", "kubernetes"] as const;
export type BackendKind = (typeof BACKENDS)[number];

const INHERITED = ["PATH", "LANG", "LC_ALL", "TZ"] as const;

/** Bounds on builds; sizes in bytes. */
export interface BuildSettings {
  /** Largest build context as it is sent, packed. */
  readonly maxUploadBytes: number;
  /** Largest build context once unpacked. */
  readonly maxContextBytes: number;
  /** Files and folders of a build context. */
  readonly maxEntries: number;
  /** Longest install step, in milliseconds. */
  readonly timeoutMs: number;
  /** Builds at a time; others wait. */
  readonly concurrency: number;
  /** Builds that may wait. */
  readonly maxWaiting: number;
}

export interface ProviderConfig {
  readonly port: number;
  /** Or `unix:` and the path of a socket. */
  readonly bindAddress: string;
  /** Permissions of that socket. */
  readonly socketMode: number;
  /** Hosts that the control routes are called by; see `hostsOf`. */
  readonly allowedHosts: readonly string[];
  readonly backend: BackendKind;
  /** Absolute folder of everything that has to last. */
  readonly dataDir: string;
  readonly defaultNamespace: string;
  readonly basicAuth: boolean;
  /** How long a password still holds that another has taken the place of, in milliseconds. */
  readonly passwordOverlapMs: number;
  /** Folder of `basic-auth-user` and `basic-auth-password`. */
  readonly secretMountPath: string;
  /** Longest wait for the head of a function's answer, in milliseconds. */
  readonly readTimeoutMs: number;
  /** A function's connection that has changed its protocol is closed when nothing has moved on it for so long, in milliseconds. */
  readonly upgradeIdleMs: number;
  /** Connections at a time that have changed their protocol; a share of all when absent. */
  readonly maxUpgrades?: number | undefined;
  /** Longest stream of logs, in milliseconds; Infinity for as long as the reader stays. */
  readonly writeTimeoutMs: number;
  /** How long a stop waits for requests and replicas under way, in milliseconds. */
  readonly drainTimeoutMs: number;
  /** Largest body of a control request, in bytes. */
  readonly maxBodyBytes: number;
  readonly build: BuildSettings;
  /** Where the backend `kubernetes` pushes what it builds; it builds nothing when absent. */
  readonly images: ImageSettings | undefined;
  /** Dockerfiles with steps are built there. */
  readonly buildPods: BuildPodSettings | undefined;
  /** Who builds in place of this process, for the backend `kubernetes`. */
  readonly builderUrl: URL | undefined;
  /** What functions of the backend `local` run within. */
  readonly sandbox: SandboxSetting;
  /** Most that fits into the `/tmp` of a function in a sandbox, in bytes. */
  readonly sandboxTmpBytes: number;
  /** Most that a function of the backend `local` may add to its folder on the disk, in bytes. */
  readonly functionDiskBytes: number;
  /** How long the backend `local` keeps an image that no function uses, in milliseconds; Infinity for good. */
  readonly imageKeepMs: number;
  /** For the backend `kubernetes` alone. */
  readonly kubernetes: KubernetesSettings;
  readonly cluster: ClusterLocation;
  /** Where functions of the backend `local` that send events reach the gateway, as far as that is known by now. */
  readonly gatewayUrl: () => string | undefined;
  /** What replicas see of the platform's own environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What install steps see of it: the same, and what leads them to registries. */
  readonly stepEnvironment: Readonly<Record<string, string | undefined>>;
  readonly logLevel: LogLevel;
}

const DEFAULT_UPGRADE_IDLE_MS = 5 * 60_000;

/** Less would take images away between their build and their deploy. */
const LEAST_KEEP_MS = 60_000;

/** Hundreds of hours are usual here, so it is not bounded as timers are. */
function parseKeep(text: string): number {
  if (text === "forever") return Number.POSITIVE_INFINITY;
  const ms = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
  if (ms === undefined || ms < LEAST_KEEP_MS) throw new Error("must be forever, or a duration of at least 1m");
  return ms;
}

/**
 * @param env a process that runs the gateway too leaves out `port`, which is the gateway's there
 * @throws {ConfigError} naming every bad variable, so that all can be fixed in one restart.
 */
export function loadProviderConfig(env: Env): ProviderConfig {
  return readEnv(env, (read) => {
    const bind = readBindAddress(read);
    const gatewayUrl = read.optional("gateway_url", parseUrl)?.href;
    const environment = Object.fromEntries(INHERITED.map((name) => [name, env[name]]));
    return {
      port: read.optional("provider_port", parsePort) ?? bind.port ?? 8081,
      bindAddress: bind.host,
      socketMode: read.optional("socket_mode", parseSocketMode) ?? DEFAULT_SOCKET_MODE,
      allowedHosts: read.optional("allowed_hosts", parseHosts) ?? [],
      backend: read.optional("backend", oneOf(...BACKENDS)) ?? "local",
      dataDir: resolve(read.optional("data_dir", parseText) ?? ".faaslane"),
      defaultNamespace: read.optional("function_namespace", parseText) ?? DEFAULT_NAMESPACE,
      basicAuth: read.optional("basic_auth", parseBoolean) ?? true,
      passwordOverlapMs: read.optional("password_overlap", parseDuration) ?? DEFAULT_PASSWORD_OVERLAP_MS,
      secretMountPath: read.optional("secret_mount_path", parseText) ?? "/run/secrets/",
      readTimeoutMs: read.optional("read_timeout", parseDuration) ?? 60_000,
      upgradeIdleMs: read.optional("upgrade_idle_timeout", parseIdle) ?? DEFAULT_UPGRADE_IDLE_MS,
      maxUpgrades: read.optional("max_upgrades", integerFrom(0)),
      writeTimeoutMs: read.optional("write_timeout", parseDuration) ?? Number.POSITIVE_INFINITY,
      drainTimeoutMs: read.optional("drain_timeout", parseDuration) ?? 10_000,
      maxBodyBytes: read.optional("max_body_bytes", parseBytes) ?? 4 * 1024 ** 2,
      build: {
        maxUploadBytes: read.optional("build_max_upload_bytes", parseBytes) ?? 256 * 1024 ** 2,
        maxContextBytes: read.optional("build_max_bytes", parseBytes) ?? 256 * 1024 ** 2,
        maxEntries: read.optional("build_max_entries", integerFrom(1)) ?? 50_000,
        timeoutMs: read.optional("build_timeout", parseDuration) ?? 600_000,
        concurrency: read.optional("build_concurrency", integerFrom(1)) ?? 2,
        maxWaiting: read.optional("build_max_waiting", integerFrom(0)) ?? 8,
      },
      images: readImageSettings(read),
      buildPods: readBuildPodSettings(read),
      builderUrl: read.optional("builder_url", parseUrl),
      sandbox: read.optional("sandbox", oneOf(...SANDBOX_SETTINGS)) ?? "auto",
      sandboxTmpBytes: read.optional("sandbox_tmp_bytes", parseBytes) ?? 256 * 1024 ** 2,
      functionDiskBytes: read.optional("function_disk_bytes", parseBytes) ?? 1024 ** 3,
      imageKeepMs: read.optional("image_keep", parseKeep) ?? 7 * 24 * 3600e3,
      kubernetes: readKubernetesSettings(read),
      cluster: readClusterLocation(read),
      gatewayUrl: () => gatewayUrl,
      environment,
      stepEnvironment: { ...environment, ...lentOf(env) },
      logLevel: read.optional("log_level", oneOf<LogLevel>(...LOG_LEVELS)) ?? "info",
    };
  });
}
