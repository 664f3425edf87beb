import { qualifiedName } from "../../contract/functions.ts";
import { parseScalePolicy } from "../../contract/scale-policy.ts";
import type { ProviderClient } from "../provider-client.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { AlertDeps } from "../routes/alert.ts";
import type { Autoscaler } from "../scaling/autoscaler.ts";
import type { GatewayConfig } from "./config.ts";

export interface AlertParts {
  readonly config: Pick<GatewayConfig, "scaling">;
  readonly table: FunctionTable;
  readonly provider: ProviderClient;
  readonly autoscaler: Autoscaler;
}

/** What alerts scale. */
export function openAlerts({ config, table, provider, autoscaler }: AlertParts): AlertDeps {
  return {
    find: (target) => {
      const entry = table.find(target);
      if (!entry) return undefined;
      const { snapshot, qualifiedName } = entry;
      const { labels, annotations } = snapshot;
      const watched = autoscaler.watched(qualifiedName);
      const policy =
        watched?.policyFor(snapshot) ?? parseScalePolicy(labels, annotations, config.scaling.defaults).policy;
      return { ref: snapshot, replicas: snapshot.replicas, policy };
    },
    scale: async (ref, replicas) => {
      autoscaler.ordered(qualifiedName(ref), replicas);
      const from = table.find(qualifiedName(ref))?.snapshot.replicas ?? replicas;
      await provider.scaleFrom(ref, from, replicas);
    },
    alerted: (ref) => autoscaler.alerted(qualifiedName(ref)),
  };
}
