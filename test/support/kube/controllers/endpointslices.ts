import { isDeepStrictEqual } from "node:util";
import type { Api } from "../api.ts";
import { objectKey, type StoreEvent } from "../store.ts";
import type { StringMap } from "../types.ts";
import {
  type Endpoint,
  type EndpointSlice,
  hasEnded,
  isReady,
  type Pod,
  parseQueueKey,
  queueKey,
  type Service,
} from "../workloads.ts";
import type { Controller } from "./controller.ts";
import { Reconciler } from "./reconciler.ts";

const SLICES = "endpointslices.discovery.k8s.io";
const MANAGED_BY = "endpointslice-controller.k8s.io";

/** Keeps the endpoints of each Service that selects pods, in slices of limited size. */
export class EndpointSliceController implements Controller {
  readonly name = "endpointslice-controller";
  readonly #api: Api;
  readonly #sliceSize: number;
  readonly #queue = new Reconciler((key) => this.#reconcile(key));
  /** Services by the first label that they select by, so that a pod finds its own among thousands. */
  readonly #bySelector = new Map<string, Set<string>>();

  /** @param sliceSize the real controller's is 100 */
  constructor(api: Api, sliceSize: number) {
    this.#api = api;
    this.#sliceSize = sliceSize;
  }

  handle({ resource, object, previous, type }: StoreEvent): void {
    if (resource === "services") {
      if (previous !== undefined) this.#index(previous as Service, (keys) => keys.delete(queueKey(object)));
      if (type === "DELETED") return;
      this.#index(object as Service, (keys) => keys.add(queueKey(object)));
      this.#queue.enqueue(queueKey(object));
    } else if (resource === "pods") {
      this.#enqueueFor(object.metadata.namespace ?? "", object.metadata.labels);
      if (previous !== undefined && previous.metadata.labels !== object.metadata.labels) {
        this.#enqueueFor(object.metadata.namespace ?? "", previous.metadata.labels);
      }
    } else if (resource === SLICES) {
      // Edited or deleted by hand: put it right.
      const service = object.metadata.labels?.["kubernetes.io/service-name"];
      if (service !== undefined) this.#queue.enqueue(`${object.metadata.namespace}/${service}`);
    }
  }

  close(): void {
    this.#queue.close();
  }

  #index({ metadata, spec }: Service, change: (keys: Set<string>) => void): void {
    const first = Object.entries(spec.selector ?? {})[0];
    if (first === undefined) return;
    const under = `${metadata.namespace} ${first[0]}=${first[1]}`;
    const keys = this.#bySelector.get(under) ?? new Set();
    change(keys);
    if (keys.size === 0) this.#bySelector.delete(under);
    else this.#bySelector.set(under, keys);
  }

  #enqueueFor(namespace: string, labels: StringMap | undefined): void {
    for (const [label, value] of Object.entries(labels ?? {})) {
      for (const key of this.#bySelector.get(`${namespace} ${label}=${value}`) ?? []) this.#queue.enqueue(key);
    }
  }

  #reconcile(key: string): void {
    const service = this.#api.store.get("services", parseQueueKey(key)) as Service | undefined;
    if (service === undefined || service.spec.selector === undefined) return;
    const pods = this.#selectedPods(service);
    const endpoints = new Map(pods.map((pod) => [pod.metadata.uid, endpointOf(pod, service)] as const));
    const ports = portsOf(service, pods);
    const slices = (this.#api.store.ownedBy(service.metadata.uid, SLICES) as EndpointSlice[]).sort((a, b) =>
      a.metadata.name < b.metadata.name ? -1 : 1,
    );
    const contents = this.#distribute(slices, endpoints);
    for (const [index, content] of contents.entries()) this.#write(service, slices[index], content, ports);
  }

  #selectedPods({ metadata, spec }: Service): Pod[] {
    const selector = Object.entries(spec.selector ?? {});
    const [label, value] = selector[0] as [string, string];
    const candidates = this.#api.store.labelled("pods", metadata.namespace ?? "", label, value) as Pod[];
    return candidates.filter(
      (pod) =>
        pod.status?.podIP !== undefined &&
        !hasEnded(pod) &&
        selector.every(([name, wanted]) => pod.metadata.labels?.[name] === wanted),
    );
  }

  /** Endpoints stay in the slice they are in; new ones fill the first with room. */
  #distribute(slices: readonly EndpointSlice[], wanted: ReadonlyMap<string, Endpoint>): Endpoint[][] {
    const left = new Map(wanted);
    const contents = slices.map((slice) =>
      (slice.endpoints ?? []).flatMap(({ targetRef }) => {
        const endpoint = left.get(targetRef.uid);
        left.delete(targetRef.uid);
        return endpoint === undefined ? [] : [endpoint];
      }),
    );
    if (contents.length === 0) contents.push([]);
    for (const endpoint of left.values()) {
      let target = contents.find((content) => content.length < this.#sliceSize);
      if (target === undefined) {
        target = [];
        contents.push(target);
      }
      target.push(endpoint);
    }
    return contents;
  }

  #write(
    service: Service,
    slice: EndpointSlice | undefined,
    endpoints: Endpoint[],
    ports: EndpointSlice["ports"],
  ): void {
    const { name, namespace, uid } = service.metadata;
    const content = endpoints.length === 0 ? { ports } : { endpoints, ports };
    if (slice === undefined) {
      const owner = { apiVersion: "v1", kind: "Service", name, uid, controller: true, blockOwnerDeletion: true };
      const labels = { "endpointslice.kubernetes.io/managed-by": MANAGED_BY, "kubernetes.io/service-name": name };
      const metadata = { generateName: `${name}-`, namespace, labels, ownerReferences: [owner] };
      const body = {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata,
        addressType: "IPv4",
        ...content,
      };
      this.#api.insert(SLICES, body, this.name);
      return;
    }
    const { endpoints: before, ports: portsBefore, ...rest } = slice;
    if (isDeepStrictEqual(before ?? [], endpoints) && isDeepStrictEqual(portsBefore, ports)) return;
    const annotations = {
      ...slice.metadata.annotations,
      "endpoints.kubernetes.io/last-change-trigger-time": this.#api.now(),
    };
    const metadata = { ...slice.metadata, annotations, generation: (slice.metadata.generation ?? 0) + 1 };
    if (endpoints.length === 0 && this.#others(service, slice) > 0) this.#api.store.remove(SLICES, objectKey(slice));
    else this.#api.store.put(SLICES, { ...rest, ...content, metadata });
  }

  #others(service: Service, slice: EndpointSlice): number {
    const slices = this.#api.store.ownedBy(service.metadata.uid, SLICES);
    return slices.filter(({ metadata }) => metadata.uid !== slice.metadata.uid).length;
  }
}

function endpointOf(pod: Pod, service: Service): Endpoint {
  const { namespace = "", name, uid, deletionTimestamp } = pod.metadata;
  const terminating = deletionTimestamp !== undefined;
  const serving = isReady(pod) || service.spec.publishNotReadyAddresses === true;
  return {
    addresses: [pod.status?.podIP as string],
    conditions: { ready: serving && !terminating, serving, terminating },
    targetRef: { kind: "Pod", namespace, name, uid },
    nodeName: pod.spec.nodeName ?? "",
  };
}

/** A named target port is looked up in the first pod; the real controller makes slices of their own for pods that differ. */
function portsOf({ spec }: Service, pods: readonly Pod[]): NonNullable<EndpointSlice["ports"]> {
  return (spec.ports ?? []).flatMap(({ name, protocol, targetPort }) => {
    const declared = pods.flatMap((pod) => pod.spec.containers).flatMap(({ ports }) => ports ?? []);
    const port =
      typeof targetPort === "number" ? targetPort : declared.find((p) => p.name === targetPort)?.containerPort;
    return port === undefined ? [] : [{ ...(name !== undefined && { name }), port, protocol }];
  });
}
