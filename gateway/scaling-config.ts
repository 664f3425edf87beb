import type { ScaleDefaults } from "../provider/contract/scale-policy.ts";
import { SCALE_DEFAULTS } from "../provider/contract/scale-policy.ts";
import type { EnvReader } from "../provider/kit/env.ts";
import { integerFrom, parseBoolean, parsePort, parseText, parseUrl } from "../provider/kit/parse.ts";

export interface ScalingConfig {
  /** Whether functions are scaled; calls wake functions at zero either way. */
  readonly enabled: boolean;
  readonly defaults: ScaleDefaults;
  /** For functions of type `custom`. */
  readonly prometheusUrl?: URL;
  /** File of what was learned about functions that ask for it; absent where there is no folder for it. */
  readonly patternFile?: string;
}

export function readScalingConfig(read: EnvReader, dataDir?: string): ScalingConfig {
  const prometheusUrl = read.optional("prometheus_url", parseUrl) ?? readPrometheusHost(read);
  return {
    enabled: read.optional("autoscaling", parseBoolean) ?? true,
    defaults: {
      target: read.optional("default_target", integerFrom(1)) ?? SCALE_DEFAULTS.target,
      max: read.optional("default_max_replicas", integerFrom(1)) ?? SCALE_DEFAULTS.max,
    },
    ...(prometheusUrl && { prometheusUrl }),
    ...(dataDir !== undefined && { patternFile: `${dataDir}/scaling.json` }),
  };
}

/** As OpenFaaS has it: host and port apart. */
function readPrometheusHost(read: EnvReader): URL | undefined {
  const host = read.optional("prometheus_host", parseText);
  const port = read.optional("prometheus_port", parsePort) ?? 9090;
  return host === undefined ? undefined : new URL(`http://${host}:${port}/`);
}
