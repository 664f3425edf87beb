import { qualifiedName } from "../provider/contract/functions.ts";
import type { Logger } from "../provider/kit/log.ts";
import type { ProviderClient } from "./provider-client.ts";
import type { FunctionTable } from "./proxy/function-table.ts";
import type { Queue } from "./queue/queue.ts";
import { Autoscaler } from "./scaling/autoscaler.ts";
import type { Leadership, LoadExchange } from "./scaling/load-exchange.ts";
import type { OutsideSources } from "./scaling/outside-loads.ts";
import { readPatterns, writePatterns } from "./scaling/pattern-file.ts";
import { queryPrometheus } from "./scaling/prometheus.ts";
import type { ScalingConfig } from "./scaling-config.ts";

export interface ScalingParts {
  readonly config: ScalingConfig;
  readonly table: FunctionTable;
  readonly provider: ProviderClient;
  /** Absent when there is none. */
  readonly queue?: Pick<Queue, "stats">;
  /** With the gateways that share the work; absent when there are none. */
  readonly peers?: { readonly exchange: LoadExchange; readonly leadership: Leadership };
  /** Name of this gateway, its own for each start. */
  readonly gateway: string;
  readonly log: Logger;
}

const STORE_EVERY_MS = 10 * 60_000;

export interface OpenScaling {
  readonly autoscaler: Autoscaler;
  close(): Promise<void>;
}

/** Starts to scale functions, unless it is switched off; then it only says how many replicas calls at zero need. */
export async function openScaling(parts: ScalingParts): Promise<OpenScaling> {
  const { config, table, provider, queue, peers, gateway, log } = parts;
  const { patternFile } = config;
  const patterns = patternFile === undefined ? {} : await readPatterns(patternFile);
  const autoscaler = new Autoscaler({
    functions: () => table.entries(),
    scale: (ref, replicas, inFlight) => provider.scale(ref, replicas, inFlight),
    providerAway: () => (provider.connected ? undefined : "the provider is away"),
    outside: outsideSources(config, provider, queue),
    ...peers,
    gateway,
    defaults: config.defaults,
    patterns,
    log,
  });
  const store = async () => {
    if (patternFile !== undefined) await writePatterns(patternFile, autoscaler.patterns());
  };
  let timer: NodeJS.Timeout | undefined;
  if (config.enabled) {
    // Before all functions are known, one that is only not known yet would look like one without any call.
    void table.whenSynced.then(() => autoscaler.start());
    timer = setInterval(() => {
      store().catch((err: unknown) => log.warn({ err }, "could not store what was learned about calls"));
    }, STORE_EVERY_MS);
  }
  return {
    autoscaler,
    close: async () => {
      clearInterval(timer);
      autoscaler.close();
      if (config.enabled) await store();
      await peers?.leadership.close();
      await peers?.exchange.close();
    },
  };
}

function outsideSources(
  { prometheusUrl }: ScalingConfig,
  provider: ProviderClient,
  queue: Pick<Queue, "stats"> | undefined,
): OutsideSources {
  return {
    ...(queue && { queued: () => queueDepths(queue) }),
    cpu: async (ref) => (await provider.usage(ref))?.cpu,
    ...(prometheusUrl && { query: (expression: string) => queryPrometheus(prometheusUrl, expression) }),
  };
}

async function queueDepths(queue: Pick<Queue, "stats">): Promise<Map<string, number>> {
  const { functions } = await queue.stats();
  const depths = new Map<string, number>();
  for (const { waiting, inFlight, ...ref } of functions) {
    const name = qualifiedName(ref);
    depths.set(name, (depths.get(name) ?? 0) + waiting + inFlight);
  }
  return depths;
}
