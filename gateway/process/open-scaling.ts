import { qualifiedName } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";
import type { Peers } from "../cluster/open-peers.ts";
import type { ProviderClient } from "../provider-client.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { Queue } from "../queue/queue.ts";
import { Autoscaler, type AutoscalerOptions } from "../scaling/autoscaler.ts";
import type { OutsideSources } from "../scaling/outside-loads.ts";
import { readPatterns, writePatterns } from "../scaling/pattern-file.ts";
import { queryPrometheus } from "../scaling/prometheus.ts";
import type { NatsConfig } from "./async-config.ts";
import type { ScalingConfig } from "./scaling-config.ts";
import { followNatsCredentials } from "./secret-files.ts";

export interface ScalingParts {
  readonly config: ScalingConfig;
  readonly table: FunctionTable;
  readonly provider: ProviderClient;
  /** What gateways tell each other of rollouts. */
  readonly trials: NonNullable<AutoscalerOptions["trials"]>;
  /** Absent when there is none. */
  readonly queue?: Pick<Queue, "stats">;
  /** Where gateways share the work; absent where there is but one. */
  readonly nats?: NatsConfig;
  /** Folder of the credentials for NATS. */
  readonly secretMountPath: string;
  /** Name of this gateway, its own for each start. */
  readonly gateway: string;
  readonly log: Logger;
}

const STORE_EVERY_MS = 10 * 60_000;

export interface OpenScaling {
  readonly autoscaler: Autoscaler;
  /** The gateways that share the work; absent where there is but this one, and where nothing is scaled. */
  readonly others: Peers["questions"] | undefined;
  close(): Promise<void>;
}

/** Starts to scale functions, unless it is switched off; then it only says how many replicas calls at zero need. */
export async function openScaling(parts: ScalingParts): Promise<OpenScaling> {
  const { config, table, provider, trials, queue, gateway, log } = parts;
  const peers = await openSharing(parts);
  // What gateways share is learned by all of them, and kept where all can read it.
  const patternFile = peers ? undefined : config.patternFile;
  const autoscaler = new Autoscaler({
    functions: () => table.entries(),
    scale: ({ name, namespace, replicas: from }, replicas, inFlight) =>
      provider.scaleFrom({ name, namespace }, from, replicas, inFlight),
    providerAway: () => (provider.connected ? undefined : "the provider is away"),
    outside: outsideSources(config, provider, queue),
    ...(peers && { exchange: peers.exchange, leadership: peers.leadership }),
    trials,
    gateway,
    defaults: config.defaults,
    log,
  });
  // It is still what the gateway ordered, and nobody's own number.
  provider.onCut((ref, replicas) => autoscaler.ordered(qualifiedName(ref), replicas));
  if (patternFile !== undefined) autoscaler.recall(await readPatterns(patternFile));
  peers?.patterns.onRead((learned) => autoscaler.recall(learned));
  const store = async () => {
    try {
      if (peers) await peers.patterns.write(autoscaler.patterns());
      else if (patternFile !== undefined) await writePatterns(patternFile, autoscaler.patterns());
    } catch (err) {
      log.warn({ err }, "could not store daily patterns");
    }
  };
  let timer: NodeJS.Timeout | undefined;
  if (config.enabled) {
    // Before all functions are known, one that is only not known yet would look like one without any call.
    void table.whenSynced.then(() => autoscaler.start());
    timer = setInterval(() => void store(), STORE_EVERY_MS);
  }
  return {
    autoscaler,
    others: peers?.questions,
    close: async () => {
      clearInterval(timer);
      autoscaler.close();
      if (config.enabled) await store();
      await peers?.close();
    },
  };
}

/** With the other gateways on the same NATS. One that scales nothing must not be the one that leads. */
async function openSharing(parts: ScalingParts): Promise<Peers | undefined> {
  const { config, nats, secretMountPath, table, provider, gateway, log } = parts;
  if (!config.enabled || !nats) return undefined;
  const { openPeers } = await import("../cluster/open-peers.ts");
  let synced = false;
  void table.whenSynced.then(() => {
    synced = true;
  });
  return openPeers({
    servers: nats.servers,
    bucket: { replicas: nats.replicas, storage: nats.storage },
    credentials: followNatsCredentials(secretMountPath),
    gateway,
    leaseMs: config.leaseMs,
    willing: () => synced && provider.connected,
    log,
  });
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
