import type { V1Deployment, V1Namespace, V1Pod } from "@kubernetes/client-node";
import { FaasError } from "../../contract/errors.ts";
import { qualifiedName } from "../../contract/functions.ts";
import { FEATURES, type VersionInfo } from "../../contract/info.ts";
import type { Logger } from "../../kit/log.ts";
import type { Backend } from "../backend.ts";
import { ColdStarts } from "../cold-starts.ts";
import { WatchHub } from "../watch-hub.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { KubernetesClient } from "./kubernetes-client.ts";
import { KubernetesFunctions } from "./kubernetes-functions.ts";
import { readLogs } from "./logs.ts";
import { KubernetesNamespaces } from "./namespaces.ts";
import { apiPath } from "./paths.ts";
import { Picture } from "./picture.ts";
import { FUNCTION_LABEL } from "./resources/names.ts";
import type { KubernetesSettings } from "./resources/read-settings.ts";
import { trimDeployment, trimPod } from "./resources/trim.ts";
import { KubernetesSecrets } from "./secrets.ts";
import { type Identified, type WatchSink, watchObjects } from "./watcher.ts";

export interface KubernetesBackendOptions {
  readonly access: ClusterAccess;
  readonly settings: KubernetesSettings;
  readonly defaultNamespace: string;
  readonly version: VersionInfo;
  readonly log: Logger;
}

/** How long requests wait for the first picture of the cluster. */
const PICTURE_WITHIN_MS = 20_000;

/** Tells when a sink was filled for the first time. */
function telling<T>(sink: WatchSink<T>): { readonly sink: WatchSink<T>; readonly filled: Promise<void> } {
  const { promise: filled, resolve } = Promise.withResolvers<void>();
  return {
    filled,
    sink: {
      ...sink,
      replace: (objects) => {
        sink.replace(objects);
        resolve();
      },
    },
  };
}

function trimNamespace({ metadata = {} }: V1Namespace): V1Namespace {
  const { managedFields: _, ...rest } = metadata;
  return { metadata: rest };
}

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
  const picture = new Picture({ hub, coldStarts, hasNamespace: (name) => namespaces.has(name) });

  const ready = async () => {
    if (closed.signal.aborted) throw new FaasError("unavailable", "the provider is shutting down");
    await within(whole, PICTURE_WITHIN_MS, closed.signal);
  };
  const requireNamespace = async (name: string) => {
    await ready();
    if (!namespaces.has(name)) throw new FaasError("invalid", `namespace not found: ${name}`);
  };
  const namespaces = new KubernetesNamespaces({
    client,
    defaultName: defaultNamespace,
    several: clusterRole,
    hasFunctions: (namespace) => picture.names(namespace).length > 0,
    onChange: () => picture.republish(),
    ready,
  });

  const watching: Promise<void>[] = [];
  const watch = <T extends Identified>(
    sink: WatchSink<T>,
    what: { readonly path: string; readonly labelSelector?: string; trim(object: T): T },
  ): Promise<void> => {
    const told = telling(sink);
    watching.push(watchObjects({ ...what, client, sink: told.sink, log }, closed.signal));
    return told.filled;
  };
  const scope = clusterRole ? undefined : defaultNamespace;
  const firsts = [
    watch<V1Deployment>(picture.deployments, {
      path: apiPath.deployments(scope),
      labelSelector: FUNCTION_LABEL,
      trim: trimDeployment,
    }),
    watch<V1Pod>(picture.pods, { path: apiPath.pods(scope), labelSelector: FUNCTION_LABEL, trim: trimPod }),
  ];
  if (clusterRole) {
    firsts.push(watch<V1Namespace>(namespaces.sink, { path: apiPath.namespaces, trim: trimNamespace }));
  }
  const whole = Promise.all(firsts);
  const functions = new KubernetesFunctions({
    client,
    picture,
    settings: resources,
    profilesNamespace,
    ...(announceUrl && { announceUrl }),
    requireNamespace,
    ready,
    hasNamespace: (name) => namespaces.has(name),
  });
  let closing: Promise<void> | undefined;

  return {
    info: {
      provider: "faaslane",
      orchestration: "kubernetes",
      version: options.version,
      features: [FEATURES.endpoints],
    },
    functions,
    secrets: new KubernetesSecrets({ client, requireNamespace }),
    namespaces,
    coldStarts: () => coldStarts.tallies(),
    ...(announceUrl && { announce: (...announced) => picture.announce(...announced) }),
    async *logs(query, signal) {
      await ready();
      if (!namespaces.has(query.namespace)) {
        throw new FaasError("notFound", `function ${qualifiedName(query)} not found`);
      }
      yield* readLogs(query, { client, picture }, AbortSignal.any([signal, closed.signal]));
    },
    async *watch(signal) {
      // A gateway keeps the picture that it has until there is one again, so it waits here for as long as it takes.
      const either = AbortSignal.any([signal, closed.signal]);
      await untilAborted(whole, either);
      if (!either.aborted) yield* hub.watch(signal);
    },
    close() {
      closing ??= (async () => {
        closed.abort();
        hub.end();
        picture.close();
        await Promise.all(watching);
        client.close();
      })();
      return closing;
    },
  };
}

async function untilAborted(wait: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const onAbort = () => aborted.resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await Promise.race([wait, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** @throws {FaasError} `unavailable` when `wait` takes longer, or `signal` aborts first */
async function within(wait: Promise<unknown>, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const done = wait.then(() => true);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    const stop = AbortSignal.any([signal, late.signal]);
    await untilAborted(done, stop);
    if (stop.aborted) throw new FaasError("unavailable", "the Kubernetes API has not been reached yet");
  } finally {
    clearTimeout(timer);
  }
}
