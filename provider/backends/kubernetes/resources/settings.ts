import type { V1OwnerReference } from "@kubernetes/client-node";
import { SCALE_DEFAULTS, type ScaleDefaults } from "../../../../contract/scale-policy.ts";
import { DEFAULT_PROBES, type ProbeTiming } from "../../probe-annotations.ts";
import type { Profile } from "./profile.ts";

export type PullPolicy = "Always" | "IfNotPresent" | "Never";

/** Of which functions the digests of images are asked for: those with settings for versions, all, or none. */
export const DIGEST_RULES = ["versions", "always", "never"] as const;
export type DigestRule = (typeof DIGEST_RULES)[number];

/** What is the same for every function of a provider. */
export interface ResourceSettings {
  /** Probe over HTTP; otherwise by the watchdog's lock file, for images without an HTTP health check. */
  readonly httpProbe: boolean;
  /** Run functions as user 12000, whatever their image says. */
  readonly nonRoot: boolean;
  /** Absent: images without a tag or with `latest` are pulled for every pod, others when the node lacks them. */
  readonly imagePullPolicy?: PullPolicy;
  readonly liveness: ProbeTiming;
  readonly readiness: ProbeTiming;
  /** Most replicas of one function. */
  readonly maxReplicas: number;
  /** How the gateway scales functions that say nothing. */
  readonly scaleDefaults: ScaleDefaults;
  /** Where functions that send events reach the gateway; there are none where nobody knows. */
  readonly gatewayUrl?: string;
}

/** Those of OpenFaaS's chart, but that functions are no root and are asked for readiness at once. */
export const DEFAULT_SETTINGS: ResourceSettings = {
  httpProbe: true,
  nonRoot: true,
  ...DEFAULT_PROBES,
  maxReplicas: 1000,
  scaleDefaults: SCALE_DEFAULTS,
};

/** Facts about a secret that need no look at its value. */
export interface SecretFacts {
  /** e.g. `Opaque`; the docker types become pull secrets. */
  readonly type: string;
  /** Changes with its value, e.g. its resourceVersion; a deploy after a change starts new pods. */
  readonly version?: string;
}

/** Where a replica reports that it listens, and what proves that it is one. */
export interface Announce {
  readonly url: string;
  /** Of this function alone. */
  readonly token: string;
}

/** What a function's objects depend on besides its definition. */
export interface ResourceContext {
  readonly settings: ResourceSettings;
  /** Secrets of the function's namespace by name; those it does not use do no harm. */
  readonly secrets: ReadonlyMap<string, SecretFacts>;
  /** Profiles by name; those it does not use do no harm. */
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly announce?: Announce;
  /** Versions of its secrets that the function runs with, as its pods are marked; those of `secrets` unless given. */
  readonly secretsMark?: string;
  /** The version that the function's pods are labelled with; the deployment's own unless given. */
  readonly versionMark?: string | undefined;
  /** What the objects go with, e.g. the Function they were made for. */
  readonly owner?: V1OwnerReference;
}
