import type { V1Deployment, V1Pod } from "@kubernetes/client-node";
import type { Announcement } from "../../../../contract/announce.ts";
import type { Endpoint, FunctionEndpoints } from "../../../../contract/endpoints.ts";
import { type FunctionRef, type FunctionStatus, qualifiedName } from "../../../../contract/functions.ts";
import type { SecretName } from "../../../../contract/secrets.ts";
import { parseVersionedName } from "../../../../contract/versions/version-name.ts";
import type { ColdStarts } from "../../cold-starts.ts";
import type { WatchHub } from "../../watch-hub.ts";
import type { Identified, WatchSink } from "../client/watcher.ts";
import { isAnnounceToken } from "../resources/announce-token.ts";
import { podEndpoints, readEndpoints } from "../resources/endpoints.ts";
import { isFunction, isVersionDeployment, readAnnotations } from "../resources/read-deployment.ts";
import { readSecrets } from "../resources/secret-volumes.ts";
import { readStatus } from "../resources/status.ts";
import { trimDeployment } from "../resources/trim.ts";
import { isVersionUnit, unitOfDeployment, unitOfPod } from "../resources/version-unit.ts";
import { PendingPods } from "./pending-pods.ts";
import { RefSets } from "./ref-sets.ts";

export interface InformerCacheOptions {
  readonly hub: Pick<WatchHub, "publish" | "remove">;
  /** Whether functions may live there. */
  hasNamespace(name: string): boolean;
  readonly coldStarts?: Pick<ColdStarts, "observe" | "forget">;
  /** What gateways are told of a function beside what its objects say. */
  readonly amend?: (row: FunctionEndpoints) => FunctionEndpoints;
  readonly now?: () => number;
}

function keyOf({ metadata }: V1Pod): string {
  return qualifiedName({ name: metadata?.name ?? "", namespace: metadata?.namespace ?? "" });
}

/** The function, or `NAME@vN`, that a Deployment is of. */
function refOf({ metadata = {} }: V1Deployment): FunctionRef {
  return { name: unitOfDeployment(metadata), namespace: metadata.namespace ?? "" };
}

const unitKeyOf = (deployment: V1Deployment) => qualifiedName(refOf(deployment));

/** The function of a version. */
const functionKeyOf = ({ name, namespace }: FunctionRef) =>
  qualifiedName({ name: parseVersionedName(name).name, namespace });

function ownerOf({ metadata = {} }: V1Pod): string {
  return qualifiedName({ name: unitOfPod(metadata), namespace: metadata.namespace ?? "" });
}

/** Whether `a` is the older of two versions of an object. They are numbers, if too large for those of JavaScript. */
export function isOlder(a: Identified, b: Identified): boolean {
  const [x, y] = [a.metadata?.resourceVersion ?? "", b.metadata?.resourceVersion ?? ""];
  return x.length === y.length ? x < y : x.length < y.length;
}

const secondsOf = (time: Date | string | undefined) => Math.floor(new Date(time ?? 0).getTime() / 1000);

/** All functions and their pods as the API server last told, and what was written since. */
export class InformerCache {
  readonly #options: InformerCacheOptions;
  readonly #deployments = new Map<string, V1Deployment>();
  /** By function, then by the pod's key. */
  readonly #pods = new Map<string, Map<string, V1Pod>>();
  readonly #functionByPod = new Map<string, string>();
  /** By function, those of its versions that are there. */
  readonly #versions = new RefSets();
  readonly #pending: PendingPods;
  readonly #now: () => number;
  /** `uid`s of Deployments whose deletion was accepted but not seen yet. */
  readonly #removed = new Set<string>();
  /** `uid`s of the pods of functions that were removed; another function of that name may come before they go. */
  readonly #orphans = new Set<string>();
  /** What {@link status} has found, until something is published anew: lists of all functions are asked for often. */
  readonly #statuses = new Map<string, FunctionStatus>();

  /** Deployments of functions. */
  readonly deployments = this.#deploymentSink((object) => !isVersionDeployment(object));
  /** Deployments of versions beside them, which are found by another label. */
  readonly versionDeployments = this.#deploymentSink(isVersionDeployment);

  readonly pods: WatchSink<V1Pod> = {
    replace: (objects) => {
      const seen = new Set(objects.map(keyOf));
      for (const object of objects) this.pods.put(object);
      for (const pods of this.#pods.values()) {
        for (const [key, pod] of pods) if (!seen.has(key)) this.pods.remove(pod);
      }
    },
    put: (pod) => {
      const [key, owner] = [keyOf(pod), ownerOf(pod)];
      const before = this.#functionByPod.get(key);
      if (before !== undefined && before !== owner) this.#drop(key, before);
      const pods = this.#pods.get(owner) ?? new Map<string, V1Pod>();
      const known = pods.get(key);
      const isOther = known !== undefined && known.metadata?.uid !== pod.metadata?.uid;
      if (isOther) this.#pending.forget(key);
      this.#pods.set(owner, pods.set(key, pod));
      this.#functionByPod.set(key, owner);
      this.#pending.see(key, owner, pod, !known || isOther);
      this.#publish(owner);
    },
    remove: (pod) => {
      const key = keyOf(pod);
      this.#orphans.delete(pod.metadata?.uid ?? "");
      const owner = this.#functionByPod.get(key);
      if (owner === undefined) return;
      this.#drop(key, owner);
      this.#publish(owner);
    },
  };

  constructor(options: InformerCacheOptions) {
    const { now = Date.now, coldStarts } = options;
    this.#options = options;
    this.#now = now;
    this.#pending = new PendingPods({
      now,
      count: (owner, phase, ms) => {
        if (this.#deployments.has(owner)) coldStarts?.observe(owner, phase, ms);
      },
      onAnswer: (key) => {
        const owner = this.#functionByPod.get(key);
        if (owner !== undefined) this.#publish(owner);
      },
    });
  }

  /** See `Backend.announce`. */
  announce({ name, namespace, instance, ...times }: Announcement, address: string, token: string): boolean {
    const ref = this.#versionsOf({ name, namespace }).find((one) => isAnnounceToken(token, this.find(one)));
    if (!ref) return false;
    const heardAt = this.#now();
    const startedAt = heardAt - times.uptimeMs;
    const heard = {
      owner: qualifiedName(ref),
      address,
      startedAt,
      listeningAt: startedAt + times.listeningMs,
      heardAt,
    };
    const key = qualifiedName({ name: instance, namespace });
    const owner = this.#functionByPod.get(key);
    const pod = owner === undefined ? undefined : this.#pods.get(owner)?.get(key);
    // A token speaks for its function's own pods alone.
    if (!pod) this.#pending.hold(key, heard);
    else if (owner === heard.owner) this.#pending.hear(key, pod, heard);
    return true;
  }

  /** What a write has answered; it may be newer than what was seen. */
  observeWrite(deployment: V1Deployment): void {
    this.#put(trimDeployment(deployment));
  }

  /** A deletion that was accepted. */
  forget(deployment: V1Deployment): void {
    const [key, uid] = [unitKeyOf(deployment), deployment.metadata?.uid ?? ""];
    this.#removed.add(uid);
    for (const pod of this.#pods.get(key)?.values() ?? []) this.#orphans.add(pod.metadata?.uid ?? "");
    if (this.#deployments.get(key)?.metadata?.uid === uid) this.#forget(key);
  }

  /** What is known of another number of replicas before it is seen. */
  observeReplicas(ref: FunctionRef, replicas: number, resourceVersion: string | undefined): void {
    const known = this.#deployments.get(qualifiedName(ref));
    if (!known?.spec || resourceVersion === undefined) return;
    const metadata = { ...known.metadata, resourceVersion };
    this.#put({ ...known, metadata, spec: { ...known.spec, replicas } });
  }

  find(ref: FunctionRef): V1Deployment | undefined {
    const deployment = this.#deployments.get(qualifiedName(ref));
    return deployment?.metadata?.deletionTimestamp ? undefined : deployment;
  }

  status(ref: FunctionRef, usage?: FunctionStatus["usage"]): FunctionStatus | undefined {
    const deployment = this.find(ref);
    if (!deployment) return undefined;
    const key = qualifiedName(ref);
    const known = usage ? undefined : this.#statuses.get(key);
    if (known) return known;
    const pods = this.#podsOf(deployment);
    const { cpu = 0, totalMemoryBytes = 0 } = usage ?? {};
    const measured = usage && { usage: { cpu, totalMemoryBytes } };
    const status = readStatus(deployment, { pods, endpoints: this.#endpointsOf(pods), ...measured });
    if (!usage) this.#statuses.set(key, status);
    return status;
  }

  /** Functions of a namespace and their versions, in order of name. */
  names(namespace: string): string[] {
    const own = [...this.#deployments.values()].filter(
      ({ metadata }) => metadata?.namespace === namespace && !metadata.deletionTimestamp,
    );
    return own.map((deployment) => refOf(deployment).name).sort();
  }

  /** Names of the functions that are deployed with a secret. */
  usersOf({ name, namespace }: SecretName): string[] {
    return this.names(namespace).filter((user) => {
      const pod = this.find({ name: user, namespace })?.spec?.template.spec;
      return pod !== undefined && readSecrets(pod).includes(name);
    });
  }

  /** Annotations of all functions that are there. */
  *annotations(): Generator<FunctionRef & { readonly annotations: Readonly<Record<string, string>> }> {
    for (const deployment of this.#deployments.values()) {
      const ref = refOf(deployment);
      if (deployment.metadata?.deletionTimestamp || isVersionUnit(ref.name)) continue;
      yield { ...ref, annotations: readAnnotations(deployment) };
    }
  }

  /** Pods of a function that are there. */
  podsOf(ref: FunctionRef): V1Pod[] {
    const deployment = this.find(ref);
    return deployment ? this.#podsOf(deployment) : [];
  }

  /** Pods of a function that are there, with how often their containers were started again. */
  instances(ref: FunctionRef): { readonly name: string; readonly restarts: number }[] {
    return this.podsOf(ref).map(({ metadata, status }) => ({
      name: metadata?.name ?? "",
      restarts: status?.containerStatuses?.[0]?.restartCount ?? 0,
    }));
  }

  /** Namespaces have come or gone. */
  republish(): void {
    for (const key of this.#deployments.keys()) this.#publish(key);
  }

  close(): void {
    this.#pending.close();
  }

  #deploymentSink(isOwn: (object: V1Deployment) => boolean): WatchSink<V1Deployment> {
    return {
      replace: (objects) => {
        this.#removed.clear();
        const seen = new Set(objects.map(unitKeyOf));
        for (const object of objects) if (isOwn(object)) this.#put(object);
        for (const [key, object] of this.#deployments) if (isOwn(object) && !seen.has(key)) this.#remove(object);
      },
      put: (object) => {
        if (isOwn(object)) this.#put(object);
      },
      remove: (object) => this.#remove(object),
    };
  }

  #put(object: V1Deployment): void {
    if (this.#removed.has(object.metadata?.uid ?? "") || !isFunction(object)) return;
    const ref = refOf(object);
    const key = qualifiedName(ref);
    const known = this.#deployments.get(key);
    if (known && isOlder(object, known)) return;
    this.#deployments.set(key, object);
    if (!known && isVersionUnit(ref.name)) this.#versions.add(functionKeyOf(ref), ref);
    this.#publish(key);
  }

  #remove(object: V1Deployment): void {
    const uid = object.metadata?.uid ?? "";
    this.#removed.delete(uid);
    const key = unitKeyOf(object);
    if (this.#deployments.get(key)?.metadata?.uid === uid) this.#forget(key);
  }

  /** The function, then those of its versions that are there; a version is alone. */
  #versionsOf(ref: FunctionRef): FunctionRef[] {
    return [ref, ...this.#versions.of(qualifiedName(ref))];
  }

  #drop(key: string, owner: string): void {
    this.#statuses.delete(owner);
    const pods = this.#pods.get(owner);
    pods?.delete(key);
    if (pods?.size === 0) this.#pods.delete(owner);
    this.#functionByPod.delete(key);
    this.#pending.forget(key);
  }

  #forget(key: string): void {
    const known = this.#deployments.get(key);
    this.#deployments.delete(key);
    this.#statuses.delete(key);
    if (!known) return;
    const ref = refOf(known);
    if (isVersionUnit(ref.name)) this.#versions.delete(functionKeyOf(ref), ref);
    this.#options.coldStarts?.forget(ref);
    this.#options.hub.remove(ref);
  }

  #podsOf(deployment: V1Deployment): V1Pod[] {
    const since = secondsOf(deployment.metadata?.creationTimestamp);
    const pods = [...(this.#pods.get(unitKeyOf(deployment))?.values() ?? [])];
    // Pods of a function of that name that was removed before may still be there.
    return pods.filter(
      ({ metadata }) => !this.#orphans.has(metadata?.uid ?? "") && secondsOf(metadata?.creationTimestamp) >= since,
    );
  }

  #endpointsOf(pods: readonly V1Pod[]): Endpoint[] {
    return podEndpoints(pods, this.#pending.in(pods[0]?.metadata?.namespace ?? ""));
  }

  #publish(key: string): void {
    this.#statuses.delete(key);
    const deployment = this.#deployments.get(key);
    if (!deployment) return;
    const ref = refOf(deployment);
    if (deployment.metadata?.deletionTimestamp || !this.#options.hasNamespace(ref.namespace)) {
      this.#options.hub.remove(ref);
      return;
    }
    const pods = this.#podsOf(deployment);
    const row = readEndpoints(deployment, this.#endpointsOf(pods), pods);
    this.#options.hub.publish(this.#options.amend?.(row) ?? row);
  }
}
