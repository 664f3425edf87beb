import type { Api } from "../api.ts";
import type { StoreEvent } from "../store.ts";
import type { Fields, KubeObject, StringMap } from "../types.ts";
import { quantityValue } from "../validation/quantity.ts";
import { type Container, conditionOf, hasEnded, type Pod, parseQueueKey, queueKey } from "../workloads.ts";
import { type Controller, recordEvent } from "./controller.ts";
import { Reconciler } from "./reconciler.ts";

/** Gives pods a node that has the labels they ask for, and room. */
export class Scheduler implements Controller {
  readonly name = "default-scheduler";
  readonly #api: Api;
  readonly #queue = new Reconciler((key) => this.#schedule(key));
  readonly #waiting = new Set<string>();
  readonly #nodes = new NodeUsage();
  #suspended = "";

  constructor(api: Api) {
    this.#api = api;
  }

  /** No pod gets a node from now on, for a reason as `1 Insufficient memory`; "" ends it. */
  suspend(reason: string): void {
    this.#suspended = reason;
    this.#retry();
  }

  handle({ resource, object, previous, type }: StoreEvent): void {
    if (resource === "nodes") this.#retry();
    if (resource !== "pods") return;
    const pod = object as Pod;
    if (type === "DELETED" || hasEnded(pod)) {
      this.#nodes.release(pod);
      this.#waiting.delete(queueKey(object));
      if (this.#waiting.size > 0) this.#retry();
    } else if (pod.spec.nodeName === undefined) {
      if (type === "ADDED") this.#queue.enqueue(queueKey(object));
    } else if ((previous as Pod | undefined)?.spec.nodeName === undefined) this.#nodes.take(pod, pod.spec.nodeName);
  }

  close(): void {
    this.#queue.close();
  }

  #retry(): void {
    for (const key of this.#waiting) this.#queue.enqueue(key);
  }

  #schedule(key: string): void {
    const pod = this.#api.store.get("pods", parseQueueKey(key)) as Pod | undefined;
    if (pod === undefined || pod.spec.nodeName !== undefined || pod.metadata.deletionTimestamp !== undefined) return;
    const chosen = this.#choose(pod);
    const time = this.#api.now();
    if (typeof chosen !== "string") {
      this.#waiting.delete(key);
      const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: time };
      this.#api.store.put("pods", {
        ...pod,
        spec: { ...pod.spec, nodeName: chosen.metadata.name },
        status: { ...pod.status, conditions: [{ ...scheduled, observedGeneration: pod.metadata.generation }] },
      });
      return;
    }
    this.#waiting.add(key);
    const before = conditionOf(pod.status?.conditions, "PodScheduled");
    if (before?.message === chosen) return;
    const condition = {
      type: "PodScheduled",
      status: "False",
      lastProbeTime: null,
      lastTransitionTime: time,
      reason: "Unschedulable",
      message: chosen,
    };
    this.#api.store.put("pods", { ...pod, status: { ...pod.status, conditions: [condition] } });
    recordEvent(this.#api, pod, "Warning", "FailedScheduling", chosen, this.name);
  }

  /** A node, or why there is none. */
  #choose(pod: Pod): KubeObject | string {
    const nodes = this.#api.store.list("nodes");
    const none = (why: string) => `0/${nodes.length} nodes are available: ${why}.`;
    if (this.#suspended !== "") return none(this.#suspended);
    const matching = nodes.filter((node) => matches(pod.spec.nodeSelector, node.metadata.labels));
    if (matching.length === 0) return none(`${nodes.length} node(s) didn't match Pod's node affinity/selector`);
    const lacking = new Map<string, number>();
    const roomy = matching.filter((node) => {
      const short = this.#shortage(pod, node);
      if (short !== undefined) lacking.set(short, (lacking.get(short) ?? 0) + 1);
      return short === undefined;
    });
    if (roomy.length === 0) return none([...lacking].map(([what, count]) => `${count} ${what}`).join(", "));
    return roomy.reduce((best, node) => (this.#load(node) < this.#load(best) ? node : best));
  }

  #load({ metadata }: KubeObject): number {
    return this.#nodes.used(metadata.name, "pods");
  }

  #shortage(pod: Pod, { metadata, status }: KubeObject): string | undefined {
    const allocatable = ((status as Fields | undefined)?.allocatable ?? {}) as StringMap;
    for (const kind of KINDS) {
      const limit = allocatable[kind];
      const wanted = requested(pod, kind);
      if (limit === undefined || wanted === 0) continue;
      if (wanted + this.#nodes.used(metadata.name, kind) > quantityValue(limit)) {
        return kind === "pods" ? "Too many pods" : `Insufficient ${kind}`;
      }
    }
    return undefined;
  }
}

const KINDS = ["pods", "cpu", "memory"] as const;
type Kind = (typeof KINDS)[number];

/** What the pods on each node ask for together. */
class NodeUsage {
  readonly #taken = new Map<string, { readonly node: string; readonly pod: Pod }>();
  readonly #sums = new Map<string, number>();

  take(pod: Pod, node: string): void {
    if (this.#taken.has(pod.metadata.uid)) return;
    this.#taken.set(pod.metadata.uid, { node, pod });
    this.#add(pod, node, 1);
  }

  release({ metadata }: Pod): void {
    const entry = this.#taken.get(metadata.uid);
    if (entry === undefined) return;
    this.#taken.delete(metadata.uid);
    this.#add(entry.pod, entry.node, -1);
  }

  used(node: string, kind: Kind): number {
    return this.#sums.get(`${node} ${kind}`) ?? 0;
  }

  #add(pod: Pod, node: string, sign: number): void {
    for (const kind of KINDS) this.#sums.set(`${node} ${kind}`, this.used(node, kind) + sign * requested(pod, kind));
  }
}

function requested({ spec }: Pod, resource: Kind): number {
  if (resource === "pods") return 1;
  const of = ({ resources }: Container) => quantityValue(resources?.requests?.[resource] ?? "0");
  return spec.containers.reduce((sum, container) => sum + of(container), 0);
}

function matches(selector: StringMap | undefined, labels: StringMap | undefined): boolean {
  return Object.entries(selector ?? {}).every(([label, value]) => labels?.[label] === value);
}
