import type { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";
import type { PathPrefix } from "../core/path-prefix.ts";
import type { PolicyGate } from "../policies/policy-gate.ts";
import type { ProviderClient } from "../provider-client.ts";
import type { FunctionEntry } from "../proxy/function-entry.ts";
import { FunctionProxy } from "../proxy/function-proxy.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import { isRouted } from "../proxy/routed-requests.ts";
import { Activator } from "../scaling/activator.ts";
import type { Autoscaler } from "../scaling/autoscaler.ts";
import type { CallObserver } from "../telemetry/call-record.ts";
import type { GatewayConfig } from "./config.ts";

export interface ProxyParts {
  readonly gate: PolicyGate;
  readonly config: GatewayConfig;
  readonly table: FunctionTable;
  readonly provider: ProviderClient;
  readonly autoscaler: Autoscaler;
  readonly pathPrefix: PathPrefix;
  readonly observer: CallObserver | undefined;
  readonly release: string;
  /** Tells the other threads' calls that the provider will not have their function. */
  readonly failElsewhere: (ref: FunctionRef, error: FaasError) => void;
  readonly log: Logger;
}

export interface OpenProxy {
  readonly proxy: FunctionProxy;
  /** Asks the provider for replicas, for calls that wait in any thread. */
  readonly wake: (entry: FunctionEntry) => void;
}

export function openProxy(parts: ProxyParts): OpenProxy {
  const { gate, config, table, provider, autoscaler, pathPrefix, observer, release, failElsewhere, log } = parts;
  const activator = new Activator<FunctionEntry>({
    scale: async (ref, replicas) => {
      autoscaler.ordered(qualifiedName(ref), replicas);
      await provider.raise(ref, replicas);
    },
    expedite: (ref) => provider.expediteFunction(ref),
    wanted: (entry) => autoscaler.waking(entry),
    fail: (entry, error) => {
      entry.held.fail(error);
      failElsewhere(entry, error);
    },
    log,
  });
  const wake = (entry: FunctionEntry) => {
    activator.wake(entry);
    provider.watch(entry, () => entry.held.count > 0 && entry.readyReplicas === 0);
  };
  const proxy = new FunctionProxy({
    table,
    provider,
    wake,
    doubt: (entry, replaced) => provider.doubt(entry, replaced),
    holdTimeoutMs: config.scaleUpTimeoutMs,
    gate,
    pathPrefix,
    isRouted,
    observer,
    release,
  });
  return { proxy, wake };
}
