import type { OtherConnections } from "../../http/other-connections.ts";
import { followTrials } from "../proxy/follow-trials.ts";
import type { FunctionEntry } from "../proxy/function-entry.ts";
import { FunctionTable } from "../proxy/function-table.ts";
import type { Occupancies } from "../proxy/occupancy.ts";
import { ProviderProxy } from "../proxy/provider-proxy.ts";
import type { GatewayConfig } from "./config.ts";

/** What the tables of several threads share. */
export interface SharedParts {
  readonly counters: Occupancies;
  readonly shareTurns: (entry: FunctionEntry) => void;
}

/** Of a connection to a replica, or to the provider in place of one. */
export const CONNECT_TIMEOUT_MS = 5_000;

/** What a table of functions needs to know. */
export type TableConfig = Pick<
  GatewayConfig,
  "defaultNamespace" | "maxHeldCalls" | "upstreamTimeoutMs" | "upstreamTimeoutGiven" | "providerUrl"
>;

/**
 * @param others counts connections to replicas
 * @param shared absent where there is one thread
 */
export function openTable(config: TableConfig, others: OtherConnections, shared?: SharedParts): FunctionTable {
  const table = new FunctionTable({
    defaultNamespace: config.defaultNamespace,
    maxHeld: config.maxHeldCalls,
    timeoutMs: config.upstreamTimeoutMs,
    ...(config.upstreamTimeoutGiven && { leastTimeoutMs: config.upstreamTimeoutMs }),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    others,
    providerProxy: new ProviderProxy({ url: config.providerUrl, connectTimeoutMs: CONNECT_TIMEOUT_MS, others }),
    ...(shared && { occupancies: shared.counters, shareTurns: shared.shareTurns }),
  });
  followTrials(table);
  return table;
}
