import { isDeepStrictEqual } from "node:util";
import type { Api } from "../api.ts";
import { shortHash } from "../random.ts";
import { objectKey, type StoreEvent } from "../store.ts";
import { stableJson } from "../validation/kinds.ts";
import { type Deployment, parseQueueKey, queueKey, type ReplicaSet } from "../workloads.ts";
import type { Controller } from "./controller.ts";
import { statusOf, timesOutAtMs } from "./deployment-status.ts";
import { Reconciler } from "./reconciler.ts";
import { boundsOf, planRollout, type SetCounts } from "./rollout.ts";

const DEPLOYMENTS = "deployments.apps";
const REPLICA_SETS = "replicasets.apps";
const REVISION = "deployment.kubernetes.io/revision";
const HASH = "pod-template-hash";

/** Rolls each Deployment's template out over ReplicaSets. */
export class DeploymentController implements Controller {
  readonly name = "deployment-controller";
  readonly #api: Api;
  readonly #queue = new Reconciler((key) => this.#reconcile(key));

  constructor(api: Api) {
    this.#api = api;
  }

  handle({ resource, object, type }: StoreEvent): void {
    if (resource === DEPLOYMENTS && type !== "DELETED") this.#queue.enqueue(queueKey(object));
    if (resource === REPLICA_SETS) this.#enqueueOwner(object as ReplicaSet);
    // A Recreate waits for the last old pod to be gone.
    if (resource === "pods" && type === "DELETED") {
      const owner = object.metadata.ownerReferences?.find(({ kind }) => kind === "ReplicaSet");
      const key = { namespace: object.metadata.namespace ?? "", name: owner?.name ?? "" };
      const set = this.#api.store.get(REPLICA_SETS, key);
      if (set !== undefined) this.#enqueueOwner(set as ReplicaSet);
    }
  }

  close(): void {
    this.#queue.close();
  }

  #enqueueOwner({ metadata }: ReplicaSet): void {
    for (const owner of metadata.ownerReferences ?? []) {
      if (owner.kind === "Deployment") this.#queue.enqueue(`${metadata.namespace}/${owner.name}`);
    }
  }

  #reconcile(key: string): void {
    const deployment = this.#get(key);
    if (deployment === undefined) return;
    let created = false;
    if (deployment.metadata.deletionTimestamp === undefined) created = this.#rollOut(deployment);
    this.#writeStatus(key, created);
  }

  #get(key: string): Deployment | undefined {
    return this.#api.store.get(DEPLOYMENTS, parseQueueKey(key)) as Deployment | undefined;
  }

  /** Oldest first. */
  #sets(deployment: Deployment): ReplicaSet[] {
    const sets = this.#api.store.ownedBy(deployment.metadata.uid, REPLICA_SETS) as ReplicaSet[];
    return sets.sort((a, b) => revisionOf(a) - revisionOf(b));
  }

  /** @returns whether a ReplicaSet was created */
  #rollOut(deployment: Deployment): boolean {
    const sets = this.#sets(deployment);
    const found = sets.find((set) => isCurrent(set, deployment));
    const old = sets.filter((set) => set !== found);
    const revision = Math.max(0, ...old.map(revisionOf)) + 1;
    const current =
      found ?? (this.#api.insert(REPLICA_SETS, replicaSetOf(deployment, revision), this.name) as ReplicaSet);
    const kept = Math.max(revisionOf(current), revision);
    this.#annotate(deployment, String(kept));
    const plan =
      deployment.spec.strategy.type === "Recreate"
        ? this.#recreate(deployment, old)
        : rolling(deployment, current, old);
    this.#scale(current, plan.current, String(kept));
    for (const [index, set] of old.entries()) this.#scale(set, plan.old[index] as number);
    this.#cleanUp(deployment, old);
    return found === undefined;
  }

  #recreate(deployment: Deployment, old: readonly ReplicaSet[]): { current: number; old: number[] } {
    const pods = old.flatMap((set) => this.#api.store.ownedBy(set.metadata.uid, "pods"));
    const { replicas } = deployment.spec;
    return { current: pods.length === 0 ? replicas : 0, old: old.map(() => 0) };
  }

  #annotate(deployment: Deployment, revision: string): void {
    const { metadata } = deployment;
    if (metadata.annotations?.[REVISION] === revision) return;
    const annotations = { ...metadata.annotations, [REVISION]: revision };
    this.#api.store.put(DEPLOYMENTS, { ...deployment, metadata: { ...metadata, annotations } });
  }

  #scale(set: ReplicaSet, replicas: number, revision?: string): void {
    const { metadata, spec } = this.#api.store.get(REPLICA_SETS, objectKey(set)) as ReplicaSet;
    const annotations =
      revision === undefined ? metadata.annotations : { ...metadata.annotations, [REVISION]: revision };
    if (spec.replicas === replicas && annotations?.[REVISION] === metadata.annotations?.[REVISION]) return;
    const generation = (metadata.generation ?? 0) + (spec.replicas === replicas ? 0 : 1);
    const live = this.#api.store.get(REPLICA_SETS, objectKey(set)) as ReplicaSet;
    const changed = {
      ...live,
      metadata: { ...metadata, generation, annotations: annotations ?? {} },
      spec: { ...spec, replicas },
    };
    this.#api.store.put(REPLICA_SETS, changed);
  }

  #cleanUp(deployment: Deployment, old: readonly ReplicaSet[]): void {
    const idle = old.filter(({ spec, status }) => spec.replicas === 0 && (status?.replicas ?? 0) === 0);
    for (const set of idle.slice(0, Math.max(0, idle.length - deployment.spec.revisionHistoryLimit))) {
      this.#api.store.remove(REPLICA_SETS, objectKey(set));
    }
  }

  #writeStatus(key: string, created: boolean): void {
    const deployment = this.#get(key) as Deployment;
    const sets = this.#sets(deployment);
    const current = sets.find((set) => isCurrent(set, deployment));
    const now = this.#api.now();
    const status = statusOf(deployment, current, sets, created, now);
    const deadline = timesOutAtMs(deployment, status.conditions);
    if (deadline !== undefined) this.#queue.enqueueIn(key, Math.max(0, deadline - Date.parse(now)) + 1);
    if (!isDeepStrictEqual(status, deployment.status)) this.#api.store.put(DEPLOYMENTS, { ...deployment, status });
  }
}

function rolling(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]) {
  return planRollout(deployment.spec.replicas, boundsOf(deployment), countsOf(current), old.map(countsOf));
}

function countsOf({ spec, status }: ReplicaSet): SetCounts {
  return { replicas: spec.replicas, available: Math.min(spec.replicas, status?.availableReplicas ?? 0) };
}

function revisionOf({ metadata }: ReplicaSet): number {
  return Number(metadata.annotations?.[REVISION] ?? 0);
}

function hashOf({ spec }: Deployment): string {
  return shortHash(stableJson(spec.template));
}

function isCurrent(set: ReplicaSet, deployment: Deployment): boolean {
  return set.metadata.labels?.[HASH] === hashOf(deployment);
}

function replicaSetOf(deployment: Deployment, revision: number): Record<string, unknown> {
  const { metadata, spec, apiVersion, kind } = deployment;
  const hash = hashOf(deployment);
  const labels = { ...spec.template.metadata?.labels, [HASH]: hash };
  const selector = spec.selector as { matchLabels?: Record<string, string> };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${metadata.name}-${hash}`,
      namespace: metadata.namespace,
      labels,
      annotations: { ...metadata.annotations, [REVISION]: String(revision) },
      ownerReferences: [
        { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true },
      ],
    },
    spec: {
      replicas: 0,
      ...(spec.minReadySeconds !== undefined && { minReadySeconds: spec.minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [HASH]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  };
}
