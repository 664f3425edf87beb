import type { FunctionEndpoints } from "../../contract/endpoints.ts";

/** The way to a function through the provider, which chooses the replica itself. */
export interface ProviderWay {
  /** What comes before the path of a call: `/function/NAME` and its namespace. */
  readonly path: string;
  /** Replicas that serve. */
  readonly available: number;
}

/** A function as the gateway knows it. */
export interface KnownFunction extends FunctionEndpoints {
  /** Present where the provider does not tell where replicas are; `endpoints` is empty then. */
  readonly way?: ProviderWay;
}

/** News of functions, as of the endpoints stream. */
export type FunctionEvent =
  | { readonly type: "snapshot" | "changed" | "removed"; readonly function: KnownFunction }
  | { readonly type: "heartbeat" };

/** Replicas that serve, as announced: one that is avoided for a moment counts. */
export function announcedReplicas({ way, endpoints }: KnownFunction): number {
  return way ? way.available : endpoints.reduce((count, { state }) => count + (state === "ready" ? 1 : 0), 0);
}

/** Calls that it takes at a time at one endpoint; 0 for no limit. The provider's is that of all replicas. */
export function callsPerEndpoint({ maxInflight = 0, way }: KnownFunction): number {
  return way ? maxInflight * way.available : maxInflight;
}
