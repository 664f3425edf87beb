import { z } from "zod";
import { decode, maybe, stringMap } from "../decode.ts";
import { rolloutState } from "./rollout-state.ts";
import { trafficTargets } from "./traffic.ts";

/** Annotation with a name of the user's for a version, e.g. a commit. */
export const VERSION_NAME = "com.faaslane.version-name";
/** Annotation with how many versions are kept that nothing refers to. */
export const VERSION_KEEP = "com.faaslane.version-keep";
export const DEFAULT_VERSION_KEEP = 10;
export const MAX_VERSION_KEEP = 100;
/** Annotation with how long a version stays warm after it has lost its last share. */
export const ROLLBACK_WINDOW = "com.faaslane.rollback-window";
export const DEFAULT_ROLLBACK_WINDOW_MS = 30 * 60_000;
export const MAX_ROLLBACK_WINDOW_MS = 168 * 3_600_000;

/** Annotation by which a new value of one of the function's secrets is a new version: `true`. */
export const SECRETS_TRACK = "com.faaslane.secrets.track";
/** Annotation of the platform's own, with a mark of those values. */
export const SECRETS_REVISION = "com.faaslane.secrets.revision";

const resources = maybe(z.object({ memory: maybe(z.string()), cpu: maybe(z.string()) }));
/** What of a deployment makes a version; everything else takes effect at once. */
export const versionContent = z.object({
  image: z.string(),
  /** `sha256:…` of what `image` meant; absent where that could not be found out. */
  digest: maybe(z.string()),
  envProcess: maybe(z.string()),
  envVars: maybe(stringMap),
  constraints: maybe(z.array(z.string())),
  secrets: maybe(z.array(z.string())),
  limits: resources,
  requests: resources,
  readOnlyRootFilesystem: maybe(z.boolean()),
  /** Those annotations that are part of it: profiles, health, readiness. */
  annotations: maybe(stringMap),
});
export type VersionContent = z.output<typeof versionContent>;

const version = z.object({
  /** `v1`, `v2`, … */
  version: z.string(),
  /** The user's own name for it. */
  name: maybe(z.string()),
  content: versionContent,
  /** RFC 3339. */
  createdAt: z.string(),
  createdBy: maybe(z.string()),
  /** Where its code comes from, as its label `org.opencontainers.image.source` or `com.faaslane.source` says. */
  source: maybe(z.string()),
  /** When it lost its last share, in milliseconds since 1970; absent while it has one and where it never had. */
  retiredAt: maybe(z.number()),
  /** Until when calls that were accepted for it may want it, in milliseconds since 1970. */
  wantedUntil: maybe(z.number()),
});
export type FunctionVersion = z.output<typeof version>;

const change = z.object({
  /** Milliseconds since 1970. */
  at: z.number(),
  /** The shares from then on, as the annotation writes them. */
  traffic: z.string(),
  reason: z.string(),
  by: maybe(z.string()),
});
export type TrafficChange = z.output<typeof change>;
export const MAX_CHANGES = 50;

export const functionVersions = z.object({
  /** Grows with every write; what was read at another is stale. */
  generation: z.number().int().nonnegative(),
  /** The highest number given so far. */
  last: z.number().int().nonnegative(),
  versions: z.array(version),
  /** The version that `latest` means. */
  latest: z.string(),
  /** The version whose replicas are those of the function's own name. */
  main: z.string(),
  /** The version that last had all calls, and the one before. */
  stable: z.string(),
  previous: maybe(z.string()),
  /** Deploys move no calls until somebody says so: it was rolled back that way. */
  detached: maybe(z.boolean()),
  /** As somebody asked for; absent: all to `latest`. */
  traffic: maybe(trafficTargets),
  /** The newest rollout, also when it has ended. */
  rollout: maybe(rolloutState),
  /** The newest last, at most {@link MAX_CHANGES}. */
  history: z.array(change).max(MAX_CHANGES),
});
/** All that is kept about one function's versions, written as a whole. */
export type FunctionVersions = z.output<typeof functionVersions>;

/** @throws {FaasError} `invalid` */
export function decodeFunctionVersions(value: unknown): FunctionVersions {
  return decode(functionVersions, value, "versions of a function");
}
