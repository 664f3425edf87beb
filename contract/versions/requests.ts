import { z } from "zod";
import { decode, maybe } from "../decode.ts";
import { versionContent } from "./function-versions.ts";
import { rolloutState } from "./rollout-state.ts";
import { trafficTargets } from "./traffic.ts";

const listedVersion = z.object({
  /** `v1`, `v2`, … */
  version: z.string(),
  name: maybe(z.string()),
  content: versionContent,
  createdAt: z.string(),
  createdBy: maybe(z.string()),
  source: maybe(z.string()),
  /** In hundredths of a percent. */
  share: z.number().int(),
  tags: z.array(z.string()),
  /** Wanted, and ready. */
  replicas: z.number().int(),
  availableReplicas: z.number().int(),
  /** Until when it stays warm without a share, in milliseconds since 1970. */
  warmUntil: maybe(z.number()),
});
export type ListedVersion = z.output<typeof listedVersion>;

const difference = z.object({
  /** e.g. `image` or `envVars.LEVEL`. */
  field: z.string(),
  from: maybe(z.string()),
  to: maybe(z.string()),
});
export type VersionDifference = z.output<typeof difference>;

const listedVersions = z.object({
  name: z.string(),
  namespace: z.string(),
  generation: z.number().int(),
  latest: z.string(),
  stable: z.string(),
  previous: maybe(z.string()),
  /** Where calls go now, tags included; versions, none of them `latest`. */
  traffic: trafficTargets,
  /** Newest first. */
  versions: z.array(listedVersion),
  history: z.array(z.object({ at: z.number(), traffic: z.string(), reason: z.string(), by: maybe(z.string()) })),
  /** With `?diff=v2..v3`. */
  diff: maybe(z.array(difference)),
});
/** `GET /system/function/NAME/versions`. */
export type ListedVersions = z.output<typeof listedVersions>;

/** @throws {FaasError} `invalid` */
export function decodeListedVersions(value: unknown): ListedVersions {
  return decode(listedVersions, value, "versions");
}

const trafficRequest = z.object({
  /** What it was read at; absent: whatever it is now. */
  generation: maybe(z.number().int().nonnegative()),
  /** None: all to `latest` again, with what it was deployed with. */
  targets: trafficTargets,
  reason: maybe(z.string().max(1_000)),
});
/** Body of `PUT /system/function/NAME/traffic`; `GET` answers one with its generation, and with `latest` as it was asked for. */
export type TrafficRequest = z.output<typeof trafficRequest>;

/** @throws {FaasError} `invalid` */
export function decodeTrafficRequest(value: unknown): TrafficRequest {
  return decode(trafficRequest, value, "failed to unmarshal request");
}

const holdRequest = z.object({
  /** In milliseconds since 1970. */
  until: z.number().int().positive(),
});
/** Body of `PUT /system/function/NAME/versions/vN/hold`: calls that were accepted for the version may want it until then. */
export type HoldRequest = z.output<typeof holdRequest>;

/** @throws {FaasError} `invalid` */
export function decodeHoldRequest(value: unknown): HoldRequest {
  return decode(holdRequest, value, "failed to unmarshal request");
}

const rollbackRequest = z.object({
  /** A version or tag; absent: the one before. */
  to: maybe(z.string()),
  /** Deploys move no calls afterwards, until somebody promotes a version, resets the traffic or rolls back without it. */
  detach: maybe(z.boolean()),
  reason: maybe(z.string().max(1_000)),
});
/** Body of `POST /system/function/NAME/rollback`. */
export type RollbackRequest = z.output<typeof rollbackRequest>;

/** @throws {FaasError} `invalid` */
export function decodeRollbackRequest(value: unknown): RollbackRequest {
  return decode(rollbackRequest, value, "failed to unmarshal request");
}

const rollbackAnswer = z.object({
  from: z.string(),
  to: z.string(),
  /** It has ready replicas. */
  warm: z.boolean(),
  /** What goes back to how it was, and what does not, a sentence each. */
  warnings: z.array(z.string()),
});
export type RollbackAnswer = z.output<typeof rollbackAnswer>;

/** @throws {FaasError} `invalid` */
export function decodeRollbackAnswer(value: unknown): RollbackAnswer {
  return decode(rollbackAnswer, value, "rollback");
}

export const ROLLOUT_ACTIONS = ["promote", "approve", "pause", "resume", "abort"] as const;
const rolloutRequest = z.object({
  /**
   * `promote`: to 100 % at once. `approve`: past the step that waits for it. `pause` and `resume`: where it is. `abort`: back to
   * the stable version.
   */
  action: z.enum(ROLLOUT_ACTIONS),
  /** The step that is meant, for `approve`. */
  step: maybe(z.number().int().nonnegative()),
  reason: maybe(z.string().max(1_000)),
});
/** Body of `POST /system/function/NAME/rollout`. */
export type RolloutRequest = z.output<typeof rolloutRequest>;

/** @throws {FaasError} `invalid` */
export function decodeRolloutRequest(value: unknown): RolloutRequest {
  return decode(rolloutRequest, value, "failed to unmarshal request");
}

const listedRollout = z.object({
  generation: z.number().int(),
  rollout: maybe(rolloutState),
  /** Why the new version does not start, while the rollout is under way. */
  problem: maybe(z.string()),
});
/** `GET /system/function/NAME/rollout`, and body of `PUT`, with which the leading gateway moves it on. */
export type ListedRollout = z.output<typeof listedRollout>;

/** @throws {FaasError} `invalid` */
export function decodeListedRollout(value: unknown): ListedRollout {
  return decode(listedRollout, value, "rollout");
}
