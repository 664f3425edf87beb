import type { CoreV1Event, V1ContainerStatus, V1Pod } from "@kubernetes/client-node";
import type { Logger } from "../../../../kit/log.ts";
import { sleep } from "../../../../kit/sleep.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import type { WatchSink } from "../client/watcher.ts";
import { CREATING } from "../resources/problem.ts";

export interface StuckPodsOptions {
  readonly client: Pick<KubernetesClient, "get">;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Milliseconds of any clock that does not jump. */
  now(): number;
}

/** Most pods are through with this sooner, and are not asked about. */
const STUCK_AFTER_MS = 2_000;
/** Kubernetes tries again less and less often, and so do we look. */
const LOOK_SOON_MS = 2_500;
const LOOK_LATER_MS = 15_000;
const FRESH_MS = 20_000;
/** Events of a namespace and a reason that are looked at. */
const MAX_EVENTS = 500;
/** What keeps a pod from getting as far as its containers. */
const REASONS = ["FailedMount", "FailedCreatePodSandBox"] as const;

/** Whether a pod has a node, but nothing yet that its containers could run in. */
export function isBeingCreated({ metadata, status }: V1Pod): boolean {
  const { phase, conditions = [], containerStatuses = [] } = status ?? {};
  if (metadata?.deletionTimestamp || phase !== "Pending") return false;
  const has = (wanted: string) => conditions.some(({ type, status }) => type === wanted && status === "True");
  // Newer clusters tell when volumes and network are there; a container that is only being pulled looks the same else.
  if (!has("PodScheduled") || has("PodReadyToStartContainers")) return false;
  return containerStatuses.every(({ state }) => CREATING.has(state?.waiting?.reason ?? ""));
}

/** The pod as if its container said why it is not created. */
function explained(pod: V1Pod, message: string): V1Pod {
  const bare: V1ContainerStatus = { name: "", image: "", imageID: "", ready: false, restartCount: 0 };
  const { containerStatuses = [] } = pod.status ?? {};
  const waiting = { reason: "ContainerCreating", message };
  const told = [{ ...(containerStatuses[0] ?? bare), state: { waiting } }, ...containerStatuses.slice(1)];
  return { ...pod, status: { ...pod.status, containerStatuses: told } };
}

const timeOf = ({ lastTimestamp, eventTime, firstTimestamp }: CoreV1Event) =>
  new Date(lastTimestamp ?? eventTime ?? firstTimestamp ?? 0).getTime();

/** The latest of the messages about each pod, by `uid`. */
export function latestMessages(events: readonly CoreV1Event[]): Map<string, string> {
  const inOrder = [...events].sort((a, b) => timeOf(a) - timeOf(b));
  return new Map(inOrder.map(({ involvedObject, message = "" }) => [involvedObject?.uid ?? "", message]));
}

interface Creating {
  readonly pod: V1Pod;
  readonly since: number;
  /** Why it is stuck; absent while nobody has said. */
  readonly message?: string;
}

/**
 * Finds out why pods are not created, which the API tells in Events alone: a secret that is gone, a network that does
 * not work. Nothing is asked while no pod is stuck, and no more often when many are.
 */
export class StuckPods {
  readonly #options: StuckPodsOptions;
  readonly #creating = new Map<string, Creating>();
  #looking = false;

  constructor(options: StuckPodsOptions) {
    this.#options = options;
  }

  /** Gives `sink` the pods with what was found out about them. */
  explaining(sink: WatchSink<V1Pod>): WatchSink<V1Pod> {
    return {
      replace: (pods) => {
        const seen = new Set(pods.map(({ metadata }) => metadata?.uid ?? ""));
        for (const uid of this.#creating.keys()) if (!seen.has(uid)) this.#creating.delete(uid);
        sink.replace(pods.map((pod) => this.#see(pod, sink)));
      },
      put: (pod) => sink.put(this.#see(pod, sink)),
      remove: (pod) => {
        this.#creating.delete(pod.metadata?.uid ?? "");
        sink.remove(pod);
      },
    };
  }

  #see(pod: V1Pod, sink: WatchSink<V1Pod>): V1Pod {
    const uid = pod.metadata?.uid ?? "";
    if (!isBeingCreated(pod)) {
      this.#creating.delete(uid);
      return pod;
    }
    const known = this.#creating.get(uid);
    this.#creating.set(uid, { since: this.#options.now(), ...known, pod });
    if (!this.#looking) {
      this.#looking = true;
      void this.#lookWhileAnyIs(sink);
    }
    return known?.message === undefined ? pod : explained(pod, known.message);
  }

  async #lookWhileAnyIs(sink: WatchSink<V1Pod>): Promise<void> {
    const { signal, log, now } = this.#options;
    while (this.#creating.size > 0 && !signal.aborted) {
      const ages = [...this.#creating.values()].map(({ since }) => now() - since);
      await sleep(Math.min(...ages) < FRESH_MS ? LOOK_SOON_MS : LOOK_LATER_MS, signal);
      const stuck = [...this.#creating.values()].filter(({ since }) => now() - since >= STUCK_AFTER_MS);
      const namespaces = new Set(stuck.map(({ pod }) => pod.metadata?.namespace ?? ""));
      try {
        for (const namespace of namespaces) this.#tell(await this.#messagesIn(namespace), sink);
      } catch (err) {
        if (signal.aborted) break;
        log.warn({ err }, "could not find out why pods are not created");
        await sleep(LOOK_LATER_MS, signal);
      }
    }
    this.#looking = false;
  }

  async #messagesIn(namespace: string): Promise<Map<string, string>> {
    const { client, signal } = this.#options;
    const events: CoreV1Event[] = [];
    for (const reason of REASONS) {
      const query = { fieldSelector: `involvedObject.kind=Pod,reason=${reason}`, limit: MAX_EVENTS };
      const { items = [] } = await client.get<{ items?: CoreV1Event[] }>(apiPath.events(namespace), query, signal);
      events.push(...items);
    }
    return latestMessages(events);
  }

  #tell(messages: ReadonlyMap<string, string>, sink: WatchSink<V1Pod>): void {
    for (const [uid, message] of messages) {
      const known = this.#creating.get(uid);
      if (!known || known.message === message) continue;
      this.#creating.set(uid, { ...known, message });
      sink.put(explained(known.pod, message));
    }
  }
}
