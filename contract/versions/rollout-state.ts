import { z } from "zod";
import { maybe } from "../decode.ts";
import { rolloutSettings } from "./rollout-settings.ts";

/**
 * `warming`: no call yet, its replicas come up. `step`: it has the share of its step. `paused`: it waits for approval.
 * `holding`: a step's time is over and there is too little to conclude from. The others have ended.
 */
export const ROLLOUT_PHASES = ["warming", "step", "paused", "holding", "done", "aborted", "superseded"] as const;
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number];

const side = z.object({
  calls: z.number().int().nonnegative(),
  errors: z.number().int().nonnegative(),
  cold: z.number().int().nonnegative(),
  /** Of answers, in milliseconds; absent without any. */
  p50: maybe(z.number()),
  p95: maybe(z.number()),
  p99: maybe(z.number()),
});
/** What gateways have counted of one version since a step began. */
export type VersionCounts = z.output<typeof side>;

const measurement = z.object({
  /** Milliseconds since 1970. */
  at: z.number(),
  step: z.number().int().nonnegative(),
  candidate: side,
  stable: side,
  verdict: z.enum(["good", "bad", "inconclusive", "no-data"]),
  /** Which condition it failed, with its numbers. */
  reason: maybe(z.string()),
});
export type RolloutMeasurement = z.output<typeof measurement>;
export const MAX_MEASUREMENTS = 10;

export const rolloutState = z.object({
  /** Tells it from the function's other rollouts. */
  id: z.number().int().positive(),
  /** The version that had the calls before, and has them again when it is aborted. */
  from: z.string(),
  to: z.string(),
  phase: z.enum(ROLLOUT_PHASES),
  /** Of `settings.steps`. */
  step: z.number().int().nonnegative(),
  /** When phase and step began, in milliseconds since 1970. */
  since: z.number(),
  startedAt: z.number(),
  /** Why it is where it is. */
  reason: maybe(z.string()),
  settings: rolloutSettings,
  /** The newest last, at most {@link MAX_MEASUREMENTS}. */
  measurements: z.array(measurement).max(MAX_MEASUREMENTS),
});
/** A new version on its way to all calls. */
export type RolloutState = z.output<typeof rolloutState>;

/** Whether it still goes on. */
export function isUnderWay({ phase }: Pick<RolloutState, "phase">): boolean {
  return phase === "warming" || phase === "step" || phase === "paused" || phase === "holding";
}
