import { z } from "zod";
import { decode, maybe, stringMap } from "./decode.ts";
import { functionTimeouts } from "./timeouts.ts";
import { rolloutState } from "./versions/rollout-state.ts";
import { trafficTargets } from "./versions/traffic.ts";

/** What a replica goes through on its way to its first call, in order. */
export const STARTUP_PHASES = ["scheduled", "sandbox", "started", "listening", "announced", "offered"] as const;
export type StartupPhase = (typeof STARTUP_PHASES)[number];

const sinceCreation = maybe(z.number().nonnegative());
const startup = z.object({
  /** A machine was chosen for it. */
  scheduled: sinceCreation,
  /** Its environment was ready: network, volumes. */
  sandbox: sinceCreation,
  /** Its process began. */
  started: sinceCreation,
  /** The function took calls. */
  listening: sinceCreation,
  /** It had told the provider so. */
  announced: sinceCreation,
  /** Gateways were told that it is ready. */
  offered: sinceCreation,
} satisfies Record<StartupPhase, typeof sinceCreation>);
/** When a replica had reached each phase, in milliseconds since it was created. What nobody saw is absent. */
export type Startup = z.output<typeof startup>;

const endpoint = z.object({
  /** `host:port` of a watchdog. */
  address: z.string(),
  instance: z.string(),
  state: z.enum(["starting", "ready", "draining"]),
  /** The version that it runs, where that is not the function's `version`: during an update. */
  version: maybe(z.string()),
  /** For a while after it has become ready. */
  startup: maybe(startup),
});
export type Endpoint = z.output<typeof endpoint>;

const functionEndpoints = z.object({
  /** `NAME@VERSION` for a version beside the one that serves under the function's own name. */
  name: z.string(),
  namespace: z.string(),
  labels: stringMap,
  annotations: stringMap,
  /** Replicas wanted; 0 means asleep. */
  replicas: z.number().int(),
  /** Grows with every update of the function. */
  generation: z.number().int(),
  /** Calls one replica takes at a time (`max_inflight` of the function); absent means no limit. */
  maxInflight: maybe(z.number().int()),
  /** Processors that its replicas share, all of them on one machine; absent where they may be on several. */
  cores: maybe(z.number().int().positive()),
  /** How long the function itself may take; absent where it says nothing. */
  timeouts: maybe(functionTimeouts),
  /**
   * Why no replica comes up, after several that did not in a row. Callers that wait for one are told, so it is what
   * anybody may know; a function's status says more.
   */
  problem: maybe(z.string()),
  /** The version that its replicas run. */
  version: maybe(z.string()),
  /** Of the function's own name, where calls are split or tags given: versions, none of them `latest`. */
  traffic: maybe(trafficTargets),
  /** Of the function's own name: the rollout that is under way. */
  rollout: maybe(rolloutState),
  /** Grows with every change of versions and traffic. */
  trafficGeneration: maybe(z.number().int()),
  endpoints: z.array(endpoint),
});
/** All that a gateway needs to know to call a function. */
export type FunctionEndpoints = z.output<typeof functionEndpoints>;

const endpointsEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("snapshot"), function: functionEndpoints }),
  z.object({ type: z.literal("changed"), function: functionEndpoints }),
  z.object({ type: z.literal("removed"), function: functionEndpoints }),
  z.object({ type: z.literal("heartbeat") }),
]);
/**
 * One line of `GET /system/endpoints`: a `snapshot` per function, then at once a `heartbeat`, which tells the reader
 * that the snapshot is complete; from then on changes, and a `heartbeat` every 15 s.
 */
export type EndpointsEvent = z.output<typeof endpointsEvent>;

export const HEARTBEAT_INTERVAL_MS = 15_000;

/** @throws {FaasError} `invalid` */
export function decodeEndpointsEvent(value: unknown): EndpointsEvent {
  return decode(endpointsEvent, value, "endpoints event");
}
