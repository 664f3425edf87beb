import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { FakeRuntime } from "../support/kube/kubelet/fake-runtime.ts";
import { type KubeOptions, KubeServer } from "../support/kube/server.ts";
import { isReady, type Pod } from "../support/kube/workloads.ts";
import {
  type Answer,
  CONFIG_MAPS,
  CORE,
  DEPLOYMENTS,
  deployment,
  KubeClient,
  PODS,
  REPLICA_SETS,
  SERVICES,
  SLICES,
  service,
} from "./client.ts";

let kube: KubeServer;
let client: KubeClient;
let runtime: FakeRuntime;

async function open(options: KubeOptions = {}): Promise<void> {
  runtime = new FakeRuntime();
  kube = await KubeServer.open({ runtime, ...options });
  client = new KubeClient(kube);
}

beforeEach(async () => await open());

afterEach(async () => {
  await kube.close();
});

async function rolledOut(name: string): Promise<Answer> {
  return await eventually("it is rolled out", async () => {
    const { spec, status, metadata } = await client.get(`${DEPLOYMENTS}/${name}`);
    const done =
      status?.observedGeneration === metadata.generation &&
      (status.replicas ?? 0) === spec.replicas &&
      (status.updatedReplicas ?? 0) === spec.replicas &&
      (status.availableReplicas ?? 0) === spec.replicas;
    return done && { spec, status, metadata };
  });
}

const conditions = (object: Answer) =>
  Object.fromEntries(object.status.conditions.map((c: Answer) => [c.type, `${c.status} ${c.reason}`]));
const names = async (path: string): Promise<string[]> =>
  (await client.get(path)).items.map((i: Answer) => i.metadata.name);

test("a deployment makes pods of its template, owned through a ReplicaSet", async () => {
  await client.create(DEPLOYMENTS, deployment("a", { replicas: 3 }));
  expect(conditions(await rolledOut("a"))).toEqual({
    Available: "True MinimumReplicasAvailable",
    Progressing: "True NewReplicaSetAvailable",
  });
  const { items } = await client.get(`${PODS}?labelSelector=faas_function%3Da`);
  expect(items).toHaveLength(3);
  const [set] = (await client.get(REPLICA_SETS)).items;
  expect(items[0].metadata.ownerReferences[0]).toMatchObject({
    kind: "ReplicaSet",
    name: set.metadata.name,
    controller: true,
  });
  expect(set.metadata.ownerReferences[0]).toMatchObject({ kind: "Deployment", name: "a" });
  expect((await client.get(`${DEPLOYMENTS}/a`)).metadata.annotations["deployment.kubernetes.io/revision"]).toBe("1");
});

test("a new template is rolled out without ever having too few or too many pods", async () => {
  const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  await client.create(DEPLOYMENTS, deployment("a", { replicas: 3, strategy }));
  await rolledOut("a");
  const seen: { ready: number; all: number }[] = [];
  const stop = kube.store.subscribe(({ resource }) => {
    if (resource !== "pods") return;
    const pods = (kube.store.list("pods") as Pod[]).filter((pod) => pod.metadata.deletionTimestamp === undefined);
    seen.push({ ready: pods.filter(isReady).length, all: pods.length });
  });
  await client.patch(`${DEPLOYMENTS}/a`, deployment("a", {}, { image: "fn:2" }), "strategic-merge");
  await rolledOut("a");
  stop();
  expect(Math.min(...seen.map(({ ready }) => ready))).toBe(3);
  expect(Math.max(...seen.map(({ all }) => all))).toBe(4);
  const { items } = await client.get(PODS);
  expect(items.map((p: Answer) => p.spec.containers[0].image)).toEqual(["fn:2", "fn:2", "fn:2"]);
  expect((await client.get(`${DEPLOYMENTS}/a`)).metadata.annotations["deployment.kubernetes.io/revision"]).toBe("2");
});

test("one that cannot start keeps the old one serving, and says so when its time is up", async () => {
  await client.create(DEPLOYMENTS, deployment("a", { progressDeadlineSeconds: 1 }));
  await rolledOut("a");
  runtime.withholdImage("fn:2");
  await client.patch(`${DEPLOYMENTS}/a`, deployment("a", {}, { image: "fn:2" }), "strategic-merge");
  const late = await eventually("the deadline is over", async () => {
    const live = await client.get(`${DEPLOYMENTS}/a`);
    // Times are whole seconds, so that it may be over before the new pod is even counted.
    const isCounted = live.status.updatedReplicas === 1 && live.status.unavailableReplicas === 1;
    return isCounted && conditions(live).Progressing === "False ProgressDeadlineExceeded" && live;
  });
  expect(conditions(late).Available).toBe("True MinimumReplicasAvailable");
  expect(late.status).toMatchObject({ availableReplicas: 1, unavailableReplicas: 1, updatedReplicas: 1 });
  runtime.releaseImage("fn:2");
  await rolledOut("a");
});

test("Recreate ends the old pods first", async () => {
  await client.create(DEPLOYMENTS, deployment("a", { replicas: 2, strategy: { type: "Recreate" } }));
  await rolledOut("a");
  const images = new Set<string>();
  const stop = kube.store.subscribe(({ resource }) => {
    if (resource === "pods")
      images.add(
        [...new Set((kube.store.list("pods") as Pod[]).map((p) => p.spec.containers[0]?.image))].sort().join(),
      );
  });
  await client.patch(`${DEPLOYMENTS}/a`, deployment("a", {}, { image: "fn:2" }), "strategic-merge");
  await rolledOut("a");
  stop();
  expect(images).toEqual(new Set(["fn:1", "", "fn:2"]));
});

test("scaling to zero and back keeps the ReplicaSet", async () => {
  await client.create(DEPLOYMENTS, deployment("a", { replicas: 2 }));
  await rolledOut("a");
  const sets = await names(REPLICA_SETS);
  await client.patch(`${DEPLOYMENTS}/a/scale`, { spec: { replicas: 0 } });
  await eventually("no pod is left", async () => (await names(PODS)).length === 0);
  expect((await rolledOut("a")).status).toEqual({ observedGeneration: 2, conditions: expect.any(Array) });
  await client.patch(`${DEPLOYMENTS}/a/scale`, { spec: { replicas: 1 } });
  expect(conditions(await rolledOut("a")).Progressing).toBe("True NewReplicaSetAvailable");
  expect(await names(REPLICA_SETS)).toEqual(sets);
});

test("scaling down spares what is dear", async () => {
  await client.create(DEPLOYMENTS, deployment("a", { replicas: 3 }));
  await rolledOut("a");
  const [, dear] = await names(PODS);
  await client.patch(`${PODS}/${dear}`, {
    metadata: { annotations: { "controller.kubernetes.io/pod-deletion-cost": "10" } },
  });
  await client.patch(`${DEPLOYMENTS}/a/scale`, { spec: { replicas: 1 } });
  await eventually("one is left", async () => (await names(PODS)).length === 1);
  expect(await names(PODS)).toEqual([dear]);
});

test("pods in appearance can crash", async () => {
  await client.create(DEPLOYMENTS, deployment("a"));
  await rolledOut("a");
  const [pod] = (await client.get(PODS)).items;
  const status = async () => (await client.get(`${PODS}/${pod.metadata.name}`)).status.containerStatuses[0];
  runtime.crash(pod.metadata.uid, 2);
  await eventually("it was started again", async () => (await status()).restartCount === 1 && (await status()).ready);
  runtime.crash(pod.metadata.uid, 2);
  const waiting = await eventually("it is held back", async () => {
    const found = await status();
    return found.state.waiting?.reason === "CrashLoopBackOff" && found;
  });
  expect(waiting).toMatchObject({ ready: false, lastState: { terminated: { exitCode: 2, reason: "Error" } } });
});

test("a pod that is deleted is replaced", async () => {
  await client.create(DEPLOYMENTS, deployment("a"));
  await rolledOut("a");
  const [before] = await names(PODS);
  await client.delete(`${PODS}/${before}`);
  await eventually("there is another", async () => {
    const now = await names(PODS);
    return now.length === 1 && now[0] !== before;
  });
});

test("a quota on pods shows in the deployment", async () => {
  await client.create(`${CORE}/resourcequotas`, { metadata: { name: "few" }, spec: { hard: { pods: "1" } } });
  await client.create(DEPLOYMENTS, deployment("a", { replicas: 2 }));
  const live = await eventually("it is told", async () => {
    const found = await client.get(`${DEPLOYMENTS}/a`);
    return found.status?.conditions?.some((c: Answer) => c.type === "ReplicaFailure") && found;
  });
  const failure = live.status.conditions.find((c: Answer) => c.type === "ReplicaFailure");
  expect(failure).toMatchObject({
    status: "True",
    reason: "FailedCreate",
    message: expect.stringContaining("exceeded quota: few, requested: pods=1, used: pods=1"),
  });
  await client.delete(`${CORE}/resourcequotas/few`);
  await rolledOut("a");
});

describe("the scheduler", () => {
  test("minds labels and room", async () => {
    await kube.close();
    await open({
      nodes: [
        { name: "n1", labels: { disk: "ssd" }, allocatable: { cpu: "1", memory: "1Gi", pods: "2" } },
        { name: "n2" },
      ],
    });
    const pod = (name: string, spec: object) => ({
      metadata: { name },
      spec: { containers: [{ name: "c", image: "i", ...spec }] },
    });
    const on = (node: object, name: string, cpu: string) => {
      const body = pod(name, { resources: { requests: { cpu } } });
      return { ...body, spec: { ...body.spec, nodeSelector: node } };
    };
    await client.create(PODS, on({ disk: "ssd" }, "fits", "800m"));
    await client.create(PODS, on({ disk: "ssd" }, "full", "800m"));
    await client.create(PODS, on({ disk: "tape" }, "nowhere", "1m"));
    const message = async (name: string) =>
      await eventually(
        "it is told",
        async () =>
          (await client.get(`${PODS}/${name}`)).status.conditions?.find((c: Answer) => c.reason === "Unschedulable")
            ?.message,
      );
    expect(await message("full")).toBe("0/2 nodes are available: 1 Insufficient cpu.");
    expect(await message("nowhere")).toBe(
      "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
    );
    expect((await client.get(`${PODS}/fits`)).spec.nodeName).toBe("n1");
    await client.delete(`${PODS}/fits`);
    await eventually("there is room", async () => (await client.get(`${PODS}/full`)).spec.nodeName === "n1");
    await client.delete(`${PODS}/nowhere`); // has no grace without a node
    expect((await client.send("GET", `${PODS}/nowhere`)).status).toBe(404);
  });
});

describe("endpoints", () => {
  test("follow pods that come and go", async () => {
    await client.create(SERVICES, service("a"));
    const empty = await eventually("there is an empty slice", async () => (await client.get(SLICES)).items[0]);
    expect(empty.endpoints).toBeNull();
    await client.create(DEPLOYMENTS, deployment("a", { replicas: 2 }));
    const full = await eventually("both are ready", async () => {
      const [slice] = (await client.get(SLICES)).items;
      return slice.endpoints?.length === 2 && slice;
    });
    expect(full.metadata.name).toBe(empty.metadata.name);
    expect(full.endpoints[0]).toEqual({
      addresses: [expect.stringMatching(/^10\.244\./)],
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: { kind: "Pod", namespace: "openfaas-fn", name: expect.any(String), uid: expect.any(String) },
      nodeName: "node-1",
    });
    await client.delete(`${SERVICES}/a`);
    await eventually("the slice goes with its service", async () => (await names(SLICES)).length === 0);
  });

  test("are spread over slices of limited size", async () => {
    await kube.close();
    await open({ endpointSliceSize: 3 });
    await client.create(SERVICES, service("a"));
    await client.create(DEPLOYMENTS, deployment("a", { replicas: 7 }));
    const sizes = async () => (await client.get(SLICES)).items.map((s: Answer) => s.endpoints?.length ?? 0);
    await eventually(
      "all are there",
      async () => (await sizes()).reduce((sum: number, size: number) => sum + size, 0) === 7,
    );
    expect(Math.max(...(await sizes()))).toBeLessThanOrEqual(3);
    await client.patch(`${DEPLOYMENTS}/a/scale`, { spec: { replicas: 0 } });
    await eventually("one empty slice is left", async () => JSON.stringify(await sizes()) === "[0]");
  });

  test("are of the pods that a service selects, now", async () => {
    await client.create(DEPLOYMENTS, deployment("a"));
    await client.create(DEPLOYMENTS, deployment("b"));
    await client.create(SERVICES, service("a"));
    const targets = async () => (await client.get(SLICES)).items[0]?.endpoints?.map((e: Answer) => e.targetRef.name[0]);
    await eventually("those of a", async () => (await targets())?.join() === "a");
    await client.patch(`${SERVICES}/a`, { spec: { selector: { faas_function: "b" } } });
    await eventually("those of b", async () => (await targets())?.join() === "b");
  });
});

describe("garbage", () => {
  const owned = async (name: string, owner: Answer) =>
    await client.create(CONFIG_MAPS, {
      metadata: {
        name,
        ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: owner.metadata.name, uid: owner.metadata.uid }],
      },
    });

  test("goes with its owner, through all levels", async () => {
    await client.create(DEPLOYMENTS, deployment("a", { replicas: 2 }));
    await rolledOut("a");
    await client.delete(`${DEPLOYMENTS}/a`);
    await eventually("all is gone", async () => (await names(PODS)).length + (await names(REPLICA_SETS)).length === 0);
  });

  test("goes before its owner when asked", async () => {
    await client.create(DEPLOYMENTS, deployment("a"));
    await rolledOut("a");
    const order: string[] = [];
    const stop = kube.store.subscribe(({ type, resource }) => {
      if (type === "DELETED" && resource !== "events") order.push(resource);
    });
    const marked = await client.delete(`${DEPLOYMENTS}/a?propagationPolicy=Foreground`);
    expect(marked.metadata.finalizers).toEqual(["foregroundDeletion"]);
    await eventually("all is gone", async () => (await client.send("GET", `${DEPLOYMENTS}/a`)).status === 404);
    stop();
    expect(order).toEqual(["pods", "replicasets.apps", "deployments.apps"]);
  });

  test("may be orphaned", async () => {
    await client.create(DEPLOYMENTS, deployment("a"));
    await rolledOut("a");
    await client.delete(`${DEPLOYMENTS}/a`, { propagationPolicy: "Orphan" });
    const [set] = (await client.get(REPLICA_SETS)).items;
    expect(set.metadata.ownerReferences).toBeUndefined();
  });

  test("whose owner is gone already goes too; what has another owner stays", async () => {
    const owner = await client.create(CONFIG_MAPS, { metadata: { name: "owner" } });
    await client.delete(`${CONFIG_MAPS}/owner`);
    await owned("late", owner);
    await eventually("it is collected", async () => (await names(CONFIG_MAPS)).length === 0);
  });
});

test("a namespace is emptied, then it goes", async () => {
  await client.create(DEPLOYMENTS, deployment("a", { replicas: 2 }));
  await client.create(SERVICES, service("a"));
  await rolledOut("a");
  const marked = await client.delete("/api/v1/namespaces/openfaas-fn");
  expect(marked.status.phase).toBe("Terminating");
  await eventually(
    "it is gone",
    async () => (await client.send("GET", "/api/v1/namespaces/openfaas-fn")).status === 404,
  );
  expect(kube.store.list("pods")).toEqual([]);
  expect((await client.get("/apis/apps/v1/deployments")).items).toEqual([]);
});
