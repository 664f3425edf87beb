import type { V1ConfigMap, V1Deployment, V1Namespace, V1Pod } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import { FEATURES, type VersionInfo } from "../../../contract/info.ts";
import type { Logger } from "../../../kit/log.ts";
import type { Backend } from "../backend.ts";
import { ColdStarts } from "../cold-starts.ts";
import { WatchHub } from "../watch-hub.ts";
import { InformerCache } from "./cache/informer-cache.ts";
import { StuckPods } from "./cache/stuck-pods.ts";
import type { ClusterAccess } from "./client/access.ts";
import { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import { type Identified, telling, type WatcherOptions, type WatchSink, watchObjects } from "./client/watcher.ts";
import { EventObjects } from "./event-objects/event-objects.ts";
import { FunctionIngresses } from "./function-ingresses.ts";
import { FunctionObjects } from "./function-objects.ts";
import { KubernetesVersions } from "./function-versions.ts";
import { KubernetesFunctions } from "./kubernetes-functions.ts";
import { KubernetesNamespaces } from "./namespaces.ts";
import { keepRouteObjects } from "./operator/keep-route-objects.ts";
import { type Operator, openOperator } from "./operator/operator.ts";
import { readLogs } from "./pods/logs.ts";
import { type FunctionIngress, trimFunctionIngress } from "./resources/function-ingress.ts";
import { FUNCTION_LABEL, VERSION_LABEL, VERSION_OF_LABEL } from "./resources/names.ts";
import { versionOwner } from "./resources/owner.ts";
import type { KubernetesSettings } from "./resources/read-settings.ts";
import { trimDeployment, trimPod } from "./resources/trim.ts";
import { KubernetesSecrets } from "./secrets.ts";
import { untilAborted, withDeadline } from "./waits.ts";

export interface KubernetesBackendOptions {
  readonly access: ClusterAccess;
  readonly settings: KubernetesSettings;
  readonly defaultNamespace: string;
  readonly version: VersionInfo;
  readonly log: Logger;
}

/** Room for giving the lease back, so that another provider need not wait for it to run out. */
const LEAST_DRAIN_MS = 2_000;
/** An account of before there were versions may do without, and is asked again this often. */
const REFUSED_MS = 30_000;
/** How often to look for kinds that were not installed. */
const ABSENT_MS = 30_000;
/** How long requests wait for the first cache of the cluster. */
const CACHE_WITHIN_MS = 20_000;

function trimNamespace({ metadata = {} }: V1Namespace): V1Namespace {
  const { managedFields: _, ...rest } = metadata;
  return { metadata: rest };
}

function trimConfigMap({ metadata = {}, ...map }: V1ConfigMap): V1ConfigMap {
  const { managedFields: _, ...rest } = metadata;
  return { ...map, metadata: rest };
}

type Watched<T extends Identified> = Pick<
  WatcherOptions<T>,
  "path" | "labelSelector" | "trim" | "refusedMs" | "absentMs"
>;

/**
 * Runs functions as Deployments of a Kubernetes cluster. Returns before the cluster has been seen, which may be away
 * for now; requests wait for that.
 */
export function openKubernetesBackend(options: KubernetesBackendOptions): Backend {
  const { settings, defaultNamespace, log } = options;
  const { clusterRole, resources, profilesNamespace, announceUrl } = settings;
  const client = new KubernetesClient(options.access);
  const closed = new AbortController();
  const hub = new WatchHub();
  const coldStarts = new ColdStarts();
  const ingresses = new FunctionIngresses({ defaultNamespace, onChange: () => cache.republish(), log });
  const cache = new InformerCache({
    hub,
    coldStarts,
    hasNamespace: (name) => namespaces.has(name),
    amend: (row) => ingresses.amend(row),
  });

  const stuckPods = new StuckPods({ client, log, signal: closed.signal, now: () => performance.now() });

  const ready = async () => {
    if (closed.signal.aborted) throw new FaasError("unavailable", "the provider is shutting down");
    await withDeadline(whole, CACHE_WITHIN_MS, closed.signal);
  };
  const requireNamespace = async (name: string) => {
    await ready();
    if (!namespaces.has(name)) throw new FaasError("invalid", `namespace not found: ${name}`);
  };
  const versions = new KubernetesVersions({
    client,
    log,
    requireNamespace,
    hasNamespace: (name) => namespaces.has(name),
    ownerOf: (ref) => versionOwner(cache.find(ref) ?? {}),
  });
  let operator: Operator | undefined;
  const namespaces = new KubernetesNamespaces({
    client,
    defaultName: defaultNamespace,
    several: clusterRole,
    hasFunctions: (namespace) => cache.names(namespace).length > 0,
    onChange: () => {
      cache.republish();
      versions.republish();
      operator?.lookAtAll();
      eventObjects.republish();
    },
    ready,
  });

  const watching: Promise<void>[] = [];
  const watch = <T extends Identified>(sink: WatchSink<T>, what: Watched<T>): Promise<void> => {
    const told = telling(sink);
    watching.push(watchObjects({ ...what, client, sink: told.sink, log }, closed.signal));
    return told.filled;
  };
  const scope = clusterRole ? undefined : defaultNamespace;
  const firsts = [
    watch<V1Deployment>(cache.deployments, {
      path: apiPath.deployments(scope),
      labelSelector: FUNCTION_LABEL,
      trim: trimDeployment,
    }),
    watch<V1Pod>(stuckPods.explaining(cache.pods), {
      path: apiPath.pods(scope),
      labelSelector: FUNCTION_LABEL,
      trim: trimPod,
    }),
  ];
  firsts.push(
    watch<V1Deployment>(cache.versionDeployments, {
      path: apiPath.deployments(scope),
      labelSelector: VERSION_LABEL,
      trim: trimDeployment,
    }),
    watch<V1ConfigMap>(versions.sink, {
      path: apiPath.configMaps(scope),
      labelSelector: VERSION_OF_LABEL,
      trim: trimConfigMap,
      refusedMs: REFUSED_MS,
    }),
  );
  firsts.push(
    watch<FunctionIngress>(ingresses.sink, {
      path: apiPath.functionIngresses(profilesNamespace),
      trim: trimFunctionIngress,
      absentMs: ABSENT_MS,
      refusedMs: REFUSED_MS,
    }),
  );
  if (clusterRole) {
    firsts.push(watch<V1Namespace>(namespaces.sink, { path: apiPath.namespaces, trim: trimNamespace }));
  }
  const whole = Promise.all(firsts);
  const eventObjects = new EventObjects({
    client,
    scope,
    hasNamespace: (name) => namespaces.has(name),
    ready: whole,
    absentMs: ABSENT_MS,
    log,
    signal: closed.signal,
  });
  const functions = new KubernetesFunctions({
    client,
    cache: cache,
    settings: resources,
    profilesNamespace,
    imageDigests: settings.imageDigests,
    versionsOf: (ref) => versions.find(ref),
    log,
    ...(announceUrl && { announceUrl }),
    requireNamespace,
    ready,
    hasNamespace: (name) => namespaces.has(name),
    ...(settings.operator && { objects: new FunctionObjects({ client, now: () => performance.now() }) }),
    onApplied: (applied) => operator?.observe(applied),
  });
  operator =
    settings.operator &&
    openOperator({
      client,
      hub,
      ready: whole,
      scope,
      leaseDurationMs: settings.operator.leaseDurationMs,
      leaseNamespace: profilesNamespace,
      profilesNamespace,
      hasNamespace: (name) => namespaces.has(name),
      statusOf: (ref) => cache.status(ref),
      versions,
      reconcile: (...given) => functions.reconcile(...given),
      log,
    });
  const routeObjects =
    settings.routeObjects &&
    keepRouteObjects(
      { client, settings: settings.routeObjects, cache, ingresses, hub, ready: whole, log },
      closed.signal,
    );
  let closing: Promise<void> | undefined;

  return {
    info: {
      provider: "faaslane",
      orchestration: "kubernetes",
      version: options.version,
      features: [FEATURES.endpoints],
    },
    functions,
    versions,
    ...(settings.operator && { decideDeclared: (decide) => functions.decideDeclared(decide) }),
    secrets: new KubernetesSecrets({ client, requireNamespace, usersOf: (secret) => cache.usersOf(secret) }),
    namespaces,
    coldStarts,
    eventObjects,
    ingressRoutes: () => ingresses.list(),
    ...(announceUrl && { announce: (...announced) => cache.announce(...announced) }),
    async *logs(query, signal) {
      await ready();
      if (!namespaces.has(query.namespace)) {
        throw new FaasError("notFound", `function ${qualifiedName(query)} not found`);
      }
      yield* readLogs(query, { client, cache }, AbortSignal.any([signal, closed.signal]));
    },
    async *watch(signal) {
      // A gateway keeps the cache that it has until there is one again, so it waits here for as long as it takes.
      const either = AbortSignal.any([signal, closed.signal]);
      await untilAborted(whole, either);
      if (!either.aborted) yield* hub.watch(signal);
    },
    close(drainTimeoutMs) {
      closing ??= (async () => {
        closed.abort();
        hub.end();
        cache.close();
        const operatorEnds = Promise.all([operator?.close(), routeObjects?.close()]);
        const limitMs = Math.max(drainTimeoutMs, LEAST_DRAIN_MS);
        await untilAborted(operatorEnds, AbortSignal.timeout(limitMs));
        // Ends what is still under way.
        client.close();
        await Promise.all([operatorEnds, eventObjects.close(), ...watching]);
      })();
      return closing;
    },
  };
}
