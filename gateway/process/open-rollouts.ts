import { qualifiedName } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";
import { CallbackTargets } from "../../kit/outbound/targets.ts";
import { CallbackSender } from "../async/callbacks/sender.ts";
import { CallbackSigner } from "../async/callbacks/signer.ts";
import { type FunctionCaller, workerAgent } from "../async/function-caller.ts";
import type { ProviderClient } from "../provider-client.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { ProviderConnection } from "../proxy/provider-connection.ts";
import { HOOK_TIMEOUT_MS, RolloutHooks } from "../rollouts/hooks.ts";
import { RolloutDriver } from "../rollouts/rollout-driver.ts";
import { RolloutStore } from "../rollouts/rollout-store.ts";
import { RolloutWatch } from "../rollouts/rollout-watch.ts";
import type { RolloutsUnderWay } from "../rollouts/rollouts-under-way.ts";
import type { Autoscaler } from "../scaling/autoscaler.ts";
import { queryPrometheus } from "../scaling/prometheus.ts";
import type { AsyncConfig } from "./async-config.ts";
import { readSigningSecrets } from "./secret-files.ts";

export interface RolloutParts {
  readonly config: Pick<AsyncConfig, "callbackTargets" | "secretMountPath">;
  /** Asked about functions whose rollouts want that; absent where there is none. */
  readonly prometheusUrl: URL | undefined;
  readonly underWay: RolloutsUnderWay;
  readonly table: FunctionTable;
  readonly provider: Pick<ProviderClient, "connected" | "raise">;
  readonly connection: ProviderConnection;
  readonly autoscaler: Pick<Autoscaler, "leading" | "ordered">;
  /** Calls functions that are hooks. Its owner closes it. */
  readonly caller: Pick<FunctionCaller, "call">;
  readonly release: string;
  readonly log: Logger;
}

export interface OpenRollouts {
  readonly driver: RolloutDriver;
  close(): Promise<void>;
}

/** Those who follow rollouts, of all functions together. */
const MAX_READERS = 200;

/** @returns whom followers of rollouts are told by */
export function openRolloutWatch(connection: ProviderConnection, table: FunctionTable): RolloutWatch {
  return new RolloutWatch({ store: new RolloutStore(connection), table, maxReaders: MAX_READERS });
}

/** Moves rollouts on while this gateway leads. */
export async function openRollouts(parts: RolloutParts): Promise<OpenRollouts> {
  const { config, prometheusUrl, underWay, table, provider, connection, autoscaler, caller, release, log } = parts;
  const secrets = await readSigningSecrets(config.secretMountPath);
  const sender = new CallbackSender({
    timeoutMs: HOOK_TIMEOUT_MS,
    retry: { tries: 1, minWaitMs: 0, maxWaitMs: 0, deadlineMs: HOOK_TIMEOUT_MS },
    targets: new CallbackTargets(config.callbackTargets),
    signer: secrets.length > 0 ? new CallbackSigner(secrets) : undefined,
    now: Date.now,
    random: Math.random,
  });
  const hooks = new RolloutHooks({ caller, sender, userAgent: workerAgent(release) });
  const driver = new RolloutDriver({
    underWay,
    store: new RolloutStore(connection),
    acts: () => autoscaler.leading && provider.connected,
    raise: async (ref, replicas) => {
      autoscaler.ordered(qualifiedName(ref), replicas);
      await provider.raise(ref, replicas);
    },
    ask: (hook, question, signal) => hooks.ask(hook, question, signal),
    query: async (expression) => {
      if (!prometheusUrl) throw new Error("no Prometheus is named; set prometheus_url");
      return await queryPrometheus(prometheusUrl, expression);
    },
    log,
  });
  void table.whenSynced.then(() => driver.start());
  return {
    driver,
    close: async () => {
      driver.close();
      await sender.close();
    },
  };
}
