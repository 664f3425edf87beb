import { isDeepStrictEqual } from "node:util";
import type { Api } from "../api.ts";
import { ApiError } from "../status.ts";
import { objectKey, type StoreEvent } from "../store.ts";
import {
  type Condition,
  conditionOf,
  hasEnded,
  isReady,
  type Pod,
  parseQueueKey,
  queueKey,
  type ReplicaSet,
} from "../workloads.ts";
import { type Controller, recordEvent } from "./controller.ts";
import { rankForDeletion } from "./deletion-rank.ts";
import { Reconciler } from "./reconciler.ts";

const REPLICA_SETS = "replicasets.apps";
/** After a pod was refused, as by a quota. */
const RETRY_MS = 1000;

/** Keeps as many pods of each ReplicaSet as it asks for. */
export class ReplicaSetController implements Controller {
  readonly name = "replicaset-controller";
  readonly #api: Api;
  readonly #queue = new Reconciler((key) => this.#reconcile(key));

  constructor(api: Api) {
    this.#api = api;
  }

  handle({ resource, object, type }: StoreEvent): void {
    if (resource === REPLICA_SETS && type !== "DELETED") this.#queue.enqueue(queueKey(object));
    if (resource !== "pods") return;
    for (const owner of object.metadata.ownerReferences ?? []) {
      if (owner.kind === "ReplicaSet") this.#queue.enqueue(`${object.metadata.namespace}/${owner.name}`);
    }
  }

  close(): void {
    this.#queue.close();
  }

  #reconcile(key: string): void {
    const set = this.#api.store.get(REPLICA_SETS, parseQueueKey(key)) as ReplicaSet | undefined;
    if (set === undefined) return;
    const refusal = set.metadata.deletionTimestamp === undefined ? this.#adjust(set) : undefined;
    if (refusal !== undefined) this.#queue.enqueueIn(key, RETRY_MS);
    this.#writeStatus(set, refusal);
  }

  #activePods(set: ReplicaSet): Pod[] {
    const pods = this.#api.store.ownedBy(set.metadata.uid, "pods") as Pod[];
    return pods.filter((pod) => pod.metadata.deletionTimestamp === undefined && !hasEnded(pod));
  }

  /** @returns why a pod could not be made */
  #adjust(set: ReplicaSet): string | undefined {
    const active = this.#activePods(set);
    const missing = set.spec.replicas - active.length;
    for (const pod of missing < 0 ? rankForDeletion(active).slice(0, -missing) : []) {
      const options = {
        uid: pod.metadata.uid,
        resourceVersion: undefined,
        gracePeriodSeconds: undefined,
        dryRun: false,
      };
      this.#api.delete(this.#api.resources.byKey("pods"), objectKey(pod), { ...options, propagation: "Background" });
    }
    try {
      for (let i = 0; i < missing; i += 1) this.#api.insert("pods", podOf(set), this.name);
      return undefined;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      recordEvent(this.#api, set, "Warning", "FailedCreate", `Error creating: ${error.message}`, this.name);
      return error.message;
    }
  }

  #writeStatus(set: ReplicaSet, refusal: string | undefined): void {
    const pods = this.#activePods(set);
    const ready = pods.filter(isReady);
    const minReadyMs = (set.spec.minReadySeconds ?? 0) * 1000;
    const nowMs = Date.parse(this.#api.now());
    const waits = ready
      .map((pod) => readySinceMs(pod) + minReadyMs - nowMs)
      .filter((wait) => minReadyMs > 0 && wait > 0);
    if (waits.length > 0) this.#queue.enqueueIn(queueKey(set), Math.min(...waits) + 1);
    const available = ready.length - waits.length;
    const status = {
      replicas: pods.length,
      ...(pods.length !== 0 && { fullyLabeledReplicas: pods.length }),
      ...(ready.length !== 0 && { readyReplicas: ready.length }),
      ...(available !== 0 && { availableReplicas: available }),
      observedGeneration: set.metadata.generation ?? 0,
      ...failureCondition(set, refusal, this.#api.now()),
    };
    // Only the spec that was acted upon may be reported as observed, and nothing has changed it since.
    if (!isDeepStrictEqual(status, set.status)) this.#api.store.put(REPLICA_SETS, { ...set, status });
  }
}

function readySinceMs(pod: Pod): number {
  return Date.parse(conditionOf(pod.status?.conditions, "Ready")?.lastTransitionTime ?? "");
}

function failureCondition(set: ReplicaSet, message: string | undefined, now: string): { conditions?: Condition[] } {
  if (message === undefined) return {};
  const before = conditionOf(set.status?.conditions, "ReplicaFailure");
  const lastTransitionTime = before?.lastTransitionTime ?? now;
  return {
    conditions: [{ type: "ReplicaFailure", status: "True", lastTransitionTime, reason: "FailedCreate", message }],
  };
}

function podOf({ metadata, spec, apiVersion, kind }: ReplicaSet): Record<string, unknown> {
  const { labels, annotations } = spec.template.metadata ?? {};
  const { namespace, name, uid } = metadata;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: `${name}-`,
      namespace,
      ...(labels !== undefined && { labels }),
      ...(annotations !== undefined && { annotations }),
      ownerReferences: [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }],
    },
    spec: spec.template.spec,
  };
}
