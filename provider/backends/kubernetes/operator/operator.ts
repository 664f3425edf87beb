import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { V1Deployment, V1Service } from "@kubernetes/client-node";
import { qualifiedName } from "../../../../contract/functions.ts";
import { parseVersionedName } from "../../../../contract/versions/version-name.ts";
import type { Logger } from "../../../../kit/log.ts";
import type { WatchHub } from "../../watch-hub.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import { type Identified, telling, type WatchSink, watchObjects } from "../client/watcher.ts";
import type { KubernetesVersions } from "../function-versions.ts";
import type { AppliedFunction } from "../kubernetes-functions.ts";
import type { FunctionObject } from "../resources/function-object.ts";
import { FUNCTION_LABEL } from "../resources/names.ts";
import type { Profile } from "../resources/profile.ts";
import { untilAborted } from "../waits.ts";
import { holdLease } from "./lease.ts";
import { Reconciler, type ReconcilerOptions } from "./reconciler.ts";
import {
  type ObjectRecord,
  type ProfileRecord,
  recordFunction,
  recordObject,
  recordProfile,
  type WatchedFunctionResource,
} from "./records.ts";

export interface OperatorOptions extends Omit<ReconcilerOptions, "client" | "versionsOf"> {
  readonly client: KubernetesClient;
  /** Tells when a function's replicas change. */
  readonly hub: Pick<WatchHub, "watch">;
  /** What is kept of functions' versions. */
  readonly versions: Pick<KubernetesVersions, "peek" | "follow">;
  /** Resolves once functions and their pods have been seen. */
  readonly ready: Promise<unknown>;
  /** The one namespace of functions; undefined when there are several. */
  readonly scope: string | undefined;
  readonly leaseDurationMs: number;
  /** Where the Lease is. */
  readonly leaseNamespace: string;
  readonly log: Logger;
}

export interface Operator {
  /** A deploy over the API has written a Function and its objects. */
  observe(applied: AppliedFunction): void;
  /** Namespaces have come or gone. */
  lookAtAll(): void;
  /** Ends what is under way and gives the lease back. May be called twice. */
  close(): Promise<void>;
}

const LEASE_NAME = "faaslane-provider";
/** How often to look for kinds that were not installed. */
const ABSENT_MS = 30_000;

/**
 * Acts on Functions while it is the one provider that does. Only that one watches Functions, Profiles and Services, and
 * remembers anything of them.
 */
export function openOperator(options: OperatorOptions): Operator {
  const { client, log, leaseDurationMs: durationMs, leaseNamespace: namespace } = options;
  const closing = new AbortController();
  let acting: Reconciler | undefined;
  const lead = async (leading: AbortSignal) => {
    const reconciler = new Reconciler({ ...options, versionsOf: (ref) => options.versions.peek(ref) });
    acting = reconciler;
    try {
      await act(reconciler, options, leading);
    } finally {
      acting = undefined;
      await reconciler.close();
    }
  };
  const identity = `${hostname()}_${randomUUID().slice(0, 8)}`;
  const lease = { client, namespace, name: LEASE_NAME, identity, durationMs, log };
  const ended = holdLease(lease, lead, closing.signal);
  return {
    observe: (applied) => acting?.observe(applied),
    lookAtAll: () => acting?.lookAtAll(),
    close: async () => {
      closing.abort();
      await ended;
    },
  };
}

/** Resolves once `signal` has aborted and nothing is under way. */
async function act(reconciler: Reconciler, options: OperatorOptions, signal: AbortSignal): Promise<void> {
  const { client, log, scope, hub, profilesNamespace, ready } = options;
  const watching: Promise<void>[] = [];
  const watch = <T extends Identified, R>(table: WatchSink<R>, record: (object: T) => R, what: Watched) => {
    const { sink, filled } = telling(table);
    watching.push(watchObjects<T, R>({ ...what, client, trim: record, sink, log }, signal));
    return filled;
  };
  const ours = { labelSelector: FUNCTION_LABEL };
  const optional = { absentMs: ABSENT_MS };
  const { functions, profiles, deployments, services } = reconciler;
  const filled = Promise.all([
    watch<FunctionObject, WatchedFunctionResource>(functions, recordFunction, {
      path: apiPath.functions(scope),
      ...optional,
    }),
    watch<Profile, ProfileRecord>(profiles, recordProfile, { path: apiPath.profiles(profilesNamespace), ...optional }),
    watch<V1Deployment, ObjectRecord>(deployments, recordObject, { path: apiPath.deployments(scope), ...ours }),
    watch<V1Service, ObjectRecord>(services, recordObject, { path: apiPath.services(scope), ...ours }),
    ready,
  ]);
  await untilAborted(filled, signal);
  if (!signal.aborted) {
    reconciler.start();
    // With each change of traffic, what a Function shows of it.
    const unfollow = options.versions.follow((ref) => reconciler.look(qualifiedName(ref)));
    signal.addEventListener("abort", unfollow, { once: true });
    for await (const { type, ...event } of hub.watch(signal)) {
      if (type !== "heartbeat" && "function" in event) {
        const { name, namespace } = event.function;
        reconciler.look(qualifiedName({ name: parseVersionedName(name).name, namespace }));
      }
    }
  }
  await untilAborted(new Promise(() => {}), signal);
  await Promise.all(watching);
}

interface Watched {
  readonly path: string;
  readonly labelSelector?: string;
  readonly absentMs?: number;
}
