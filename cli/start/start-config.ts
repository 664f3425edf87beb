import { join, resolve } from "node:path";
import { type GatewayConfig, loadGatewayConfig } from "../../gateway/process/config.ts";
import { ConfigError, type Env } from "../../kit/env.ts";
import { loadProviderConfig, type ProviderConfig } from "../../provider/config.ts";
import { loadInnerRegistryConfig, type RegistrySettings } from "../../registry/config.ts";

export interface StartConfig {
  readonly gateway: GatewayConfig;
  readonly provider: ProviderConfig;
  /** Undefined where none is wanted. */
  readonly registry: RegistrySettings | undefined;
  /** Absolute. */
  readonly dataDir: string;
  /** The stack file to deploy; undefined looks for the usual names, `none` deploys nothing. */
  readonly stackFile:
    | { readonly kind: "file"; readonly path: string }
    | { readonly kind: "usual" }
    | { readonly kind: "none" };
}

/**
 * Settings of the whole platform in one process: those of gateway and provider, which share `data_dir` and talk over
 * loopback. `port` is the gateway's, `provider_port` the provider's, `registry_port` that of a registry if there is one.
 * @throws {ConfigError} naming every bad variable of all
 */
export function loadStartConfig(env: Env): StartConfig {
  const dataDir = resolve(env.data_dir || ".faaslane");
  // A person reads this terminal: success is reported in words, so the log keeps to what needs attention.
  const shared: Env = {
    ...env,
    data_dir: dataDir,
    secret_mount_path: dataDir,
    log_level: env.log_level || "warn",
    // There is no other process that would do what waits on NATS.
    async_worker: env.async_worker || "true",
    events_worker: env.events_worker || "true",
  };
  const problems = new Set<string>();
  const load = <T>(loader: (env: Env) => T, from: Env): T | undefined => {
    try {
      return loader(from);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const line of error.message.split("\n").slice(1)) problems.add(line);
      return undefined;
    }
  };
  const gateway = load(loadGatewayConfig, shared);
  const provider = load(loadProviderConfig, {
    ...shared,
    port: undefined,
    // Only the gateway of this process talks to it.
    bind_address: "127.0.0.1",
  });
  const registry = load(loadInnerRegistryConfig, shared);
  if (!gateway || !provider || problems.size > 0) throw new ConfigError(["bad settings:", ...problems].join("\n"));
  // Whatever keeps the queue: here there is always a folder, and one gateway.
  const counting = { ...gateway, callCountsFile: join(dataDir, "calls.json"), seriesFile: join(dataDir, "series.bin") };
  return { gateway: counting, provider, registry, dataDir, stackFile: stackFileOf(env.stack_file) };
}

function stackFileOf(variable: string | undefined): StartConfig["stackFile"] {
  if (variable === undefined) return { kind: "usual" };
  return variable === "" ? { kind: "none" } : { kind: "file", path: resolve(variable) };
}
