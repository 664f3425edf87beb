import { availableParallelism } from "node:os";
import type { Endpoint, FunctionEndpoints, Startup } from "../../../contract/endpoints.ts";
import type { FunctionStatus } from "../../../contract/functions.ts";
import { readMaxInflight } from "../../../contract/max-inflight.ts";
import { readTimeouts } from "../../../contract/timeouts.ts";
import { parseVersionedName } from "../../../contract/versions/version-name.ts";
import { HOPELESS_STARTS } from "./backoff.ts";
import type { StoredFunction } from "./definition.ts";
import type { ReplicaView } from "./rollout.ts";
import type { SandboxLevel } from "./sandbox/level.ts";

/** What can be seen of a replica from outside. */
export interface VisibleReplica extends ReplicaView {
  readonly address: string | undefined;
  readonly problem: string | undefined;
  /** What of it anybody may know. */
  readonly problemKind: string | undefined;
  readonly notice: string | undefined;
  /** Starts in a row that failed. */
  readonly failedStarts: number;
  readonly startup?: Startup | undefined;
}

export interface Usage {
  /** Milli-cores. */
  readonly cpu: number;
  readonly totalMemoryBytes: number;
}

const sorted = (map: Record<string, string>) =>
  Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));

function labelsOf({ name, deployment }: StoredFunction): Record<string, string> {
  return sorted({ ...deployment.labels, faas_function: parseVersionedName(name).name });
}

function annotationsOf({ deployment }: StoredFunction): Record<string, string> {
  return sorted({ "prometheus.io.scrape": "false", ...deployment.annotations });
}

/** Problems of the deployed version first: those of one that is being replaced solve themselves. */
function firstOf(
  record: StoredFunction,
  replicas: readonly VisibleReplica[],
  field: "problem" | "problemKind" | "notice",
): string | undefined {
  const current = replicas.filter(({ generation }) => generation === record.generation);
  return [...current, ...replicas].find((replica) => replica[field] !== undefined)?.[field];
}

/** Whether nobody should wait for any of them. One whose process has just died is started again at once. */
function areHopeless(replicas: readonly VisibleReplica[]): boolean {
  const alive = replicas.filter(({ state }) => state !== "draining" && state !== "gone");
  return alive.length > 0 && alive.every(({ failedStarts }) => failedStarts >= HOPELESS_STARTS);
}

/** What is known of a function besides its record and its replicas. */
export interface Particulars {
  readonly usage?: Usage | undefined;
  readonly sandbox?: SandboxLevel | undefined;
  readonly imageBytes?: number | undefined;
}

/** One function as lists show it. Numbers that are 0 and fields that were not set are left out. */
export function buildStatus(
  record: StoredFunction,
  replicas: readonly VisibleReplica[],
  { usage, sandbox, imageBytes }: Particulars = {},
): FunctionStatus {
  const { service: name, namespace, version: _version, ...rest } = record.deployment;
  const available = replicas.filter(({ state }) => state === "ready").length;
  const problem = firstOf(record, replicas, "problem") ?? firstOf(record, replicas, "notice");
  return {
    name,
    namespace,
    ...rest,
    labels: labelsOf(record),
    annotations: annotationsOf(record),
    ...(record.replicas > 0 && { replicas: record.replicas }),
    ...(available > 0 && { availableReplicas: available }),
    createdAt: record.createdAt,
    ...(usage && { usage: { ...usage } }),
    ...(sandbox && { sandbox }),
    ...(imageBytes !== undefined && { imageBytes }),
    ...(problem !== undefined && { problem }),
  };
}

/**
 * One function as gateways see it. Replicas without an address cannot be called and are left out. A start that merely
 * takes long is no problem here, nor is a replica that starts again: callers who wait should go on waiting.
 * @param artefactEnv environment that comes with its artefact
 * @param versionOf the version that replicas of a generation run
 */
export function buildEndpoints(
  record: StoredFunction,
  replicas: readonly VisibleReplica[],
  artefactEnv: Readonly<Record<string, string>> = {},
  versionOf: (generation: number) => string | undefined = () => undefined,
): FunctionEndpoints {
  const { name, namespace, generation } = record;
  const env = { ...artefactEnv, ...record.deployment.envVars };
  const maxInflight = readMaxInflight(env);
  const timeouts = readTimeouts(env);
  const { version } = record.deployment;
  const problem = areHopeless(replicas) ? firstOf(record, replicas, "problemKind") : undefined;
  return {
    name,
    namespace,
    labels: labelsOf(record),
    annotations: annotationsOf(record),
    replicas: record.replicas,
    generation,
    ...(maxInflight !== undefined && { maxInflight }),
    cores: availableParallelism(),
    ...(timeouts && { timeouts }),
    ...(problem !== undefined && { problem }),
    ...(version !== undefined && { version }),
    endpoints: replicas.flatMap((replica) => {
      const endpoint = endpointOf(replica);
      if (!endpoint) return [];
      const own = versionOf(replica.generation);
      return [own === undefined || own === version ? endpoint : { ...endpoint, version: own }];
    }),
  };
}

function endpointOf({ address, instance, state, startup }: VisibleReplica): Endpoint | undefined {
  if (address === undefined) return undefined;
  // Its calls go on: some of them may yet be answered.
  if (state === "unready") return { address, instance, state: "starting" };
  return state === "ready" || state === "draining"
    ? { address, instance, state, ...(startup && { startup }) }
    : undefined;
}
