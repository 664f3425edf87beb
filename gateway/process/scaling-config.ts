import type { ScaleDefaults } from "../../contract/scale-policy.ts";
import type { EnvReader } from "../../kit/env.ts";
import { parseBoolean, parseDuration, parsePort, parseText, parseUrl } from "../../kit/parse.ts";
import { readScaleDefaults } from "../../kit/scale-defaults.ts";

export interface ScalingConfig {
  /** Whether functions are scaled; calls wake functions at zero either way. */
  readonly enabled: boolean;
  readonly defaults: ScaleDefaults;
  /** For functions of type `custom`. */
  readonly prometheusUrl?: URL;
  /** File of what was learned about functions that ask for it; absent where there is no folder for it. */
  readonly patternFile?: string;
  /** How long a gateway leads without renewing that, in milliseconds; of several that share NATS one leads. */
  readonly leaseMs: number;
}

const MIN_LEASE_MS = 1_000;
const MAX_LEASE_MS = 60_000;

export function readScalingConfig(read: EnvReader, dataDir?: string): ScalingConfig {
  const prometheusUrl = read.optional("prometheus_url", parseUrl) ?? readPrometheusHost(read);
  return {
    enabled: read.optional("autoscaling", parseBoolean) ?? true,
    defaults: readScaleDefaults(read),
    leaseMs: read.optional("autoscaling_lease", parseLease) ?? 6_000,
    ...(prometheusUrl && { prometheusUrl }),
    ...(dataDir !== undefined && { patternFile: `${dataDir}/scaling.json` }),
  };
}

function parseLease(text: string): number {
  const leaseMs = parseDuration(text);
  if (leaseMs < MIN_LEASE_MS || leaseMs > MAX_LEASE_MS) throw new Error("must be from 1s to 60s");
  return leaseMs;
}

/** As OpenFaaS has it: host and port apart. */
function readPrometheusHost(read: EnvReader): URL | undefined {
  const host = read.optional("prometheus_host", parseText);
  const port = read.optional("prometheus_port", parsePort) ?? 9090;
  return host === undefined ? undefined : new URL(`http://${host}:${port}/`);
}
