/** The test API server in a process of its own, for `provider.ts`: it changes pods when told to, and says when it did. */
import { FakeRuntime } from "../support/kube/kubelet/fake-runtime.ts";
import { KubeServer } from "../support/kube/server.ts";
import type { StoreEvent } from "../support/kube/store.ts";
import type { Pod } from "../support/kube/workloads.ts";

export type Question =
  /** How many requests there were for objects since the last time it was asked, by verb and resource; no watches. */
  | { readonly kind: "requests" }
  /** Deletes so many pods a second, evenly, each of another function than the one before; others take their place. */
  | { readonly kind: "replacePods"; readonly perSecond: number; readonly seconds: number };

export type Answer =
  | { readonly kind: "listening"; readonly kubeconfig: string }
  | { readonly kind: "requests"; readonly counts: Readonly<Record<string, number>> }
  | { readonly kind: "replaced"; readonly changes: readonly PodChange[] };

/** One step of a pod's life that a gateway has to hear of. */
export interface PodChange {
  readonly pod: string;
  readonly state: PodState;
  /** Milliseconds on the machine's monotonic clock, the same for all processes. */
  readonly at: number;
}
export type PodState = "ready" | "leaving";

/** Has no divisor in common with round numbers of pods, so that every pod has its turn. */
const STRIDE = 7;
const DELETE = {
  uid: undefined,
  resourceVersion: undefined,
  gracePeriodSeconds: undefined,
  propagation: "Background",
  dryRun: false,
} as const;
/** For the last replacements to become ready. */
const SETTLE_MS = 2_000;

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function stateOf({ type, object }: StoreEvent): PodState | undefined {
  const { metadata, status } = object as Pod;
  if (type === "DELETED" || metadata.deletionTimestamp !== undefined) return "leaving";
  return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ? "ready" : undefined;
}

async function replacePods(kube: KubeServer, perSecond: number, seconds: number): Promise<PodChange[]> {
  const before = kube.store.list("pods").map(({ metadata }) => metadata);
  const changes = new Map<string, PodChange>();
  const old = new Set(before.map(({ name }) => `${name} ready`));
  const unsubscribe = kube.store.subscribe((event) => {
    if (event.resource !== "pods") return;
    const [at, state, pod] = [monotonicMs(), stateOf(event), event.object.metadata.name];
    const key = `${pod} ${state}`;
    if (state && !changes.has(key) && !old.has(key)) changes.set(key, { pod, state, at });
  });
  const startedAt = monotonicMs();
  for (let done = 0; done < perSecond * seconds; done += 1) {
    const due = startedAt + (done * 1000) / perSecond;
    if (due > monotonicMs()) await new Promise((resolve) => setTimeout(resolve, due - monotonicMs()));
    // Pods that are next to each other in the list are of the same function.
    const { namespace = "", name } = before[(done * STRIDE) % before.length] as (typeof before)[number];
    kube.api.delete(kube.api.resources.byKey("pods"), { namespace, name }, DELETE);
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  unsubscribe();
  return [...changes.values()];
}

if (process.send) {
  const send = (answer: Answer) => process.send?.(answer);
  const kube = await KubeServer.open({ runtime: new FakeRuntime() });
  process.on("message", async (question: Question) => {
    if (question.kind === "requests") {
      const counts: Record<string, number> = {};
      for (const { verb, resource, subresource } of kube.faults.requests.splice(0)) {
        const key = `${verb} ${resource.split(".")[0]}${subresource && `/${subresource}`}`;
        if (verb && verb !== "watch") counts[key] = (counts[key] ?? 0) + 1;
      }
      send({ kind: "requests", counts });
    } else send({ kind: "replaced", changes: await replacePods(kube, question.perSecond, question.seconds) });
  });
  // Whoever started this has gone.
  process.on("disconnect", () => void kube.close());
  send({ kind: "listening", kubeconfig: kube.kubeconfig() });
}
