import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { V1Pod } from "@kubernetes/client-node";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import { createLogger } from "../../../kit/log.ts";
import type { Backend } from "../../../provider/backends/backend.ts";
import { isBeingCreated, latestMessages, StuckPods } from "../../../provider/backends/kubernetes/cache/stuck-pods.ts";
import { KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { FakeRuntime } from "../../support/kube/kubelet/fake-runtime.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { ProviderAccount } from "./account.ts";
import { NAMESPACE, openBackend } from "./support.ts";

/** How soon a function has to say why it does not start. */
const SAID_WITHIN_MS = 10_000;
const CORE = `/api/v1/namespaces/${NAMESPACE}`;

describe("a function that cannot start says why, in its status and, when that lasts, to the gateway", () => {
  let account: ProviderAccount;
  let runtime: FakeRuntime;
  let kube: KubeServer;
  let client: KubeClient;
  let backend: Backend;
  let leave: AbortController;
  let told: FunctionEndpoints | undefined;

  beforeEach(async () => {
    account = new ProviderAccount();
    runtime = new FakeRuntime();
    kube = await KubeServer.open({ runtime, account });
    client = new KubeClient(kube);
    backend = openBackend(kube);
    leave = new AbortController();
    told = undefined;
    void (async () => {
      for await (const event of backend.watch(leave.signal)) if (event.type !== "heartbeat") told = event.function;
    })();
  });

  afterEach(async () => {
    leave.abort();
    await backend.close(0);
    await kube.close();
    account.expectNothingRefused();
  });

  const ref = { name: "fn", namespace: NAMESPACE };
  const key = { name: "key", namespace: NAMESPACE };
  const definition = { service: "fn", image: "fn:1", namespace: NAMESPACE };
  const ready = (replicas: number) =>
    eventually("it is up", async () => ((await backend.functions.get(ref))?.availableReplicas ?? 0) === replicas);
  const saysInStatus = async (why: RegExp) => {
    await eventually(
      `its status says ${why}`,
      async () => why.test((await backend.functions.get(ref))?.problem ?? ""),
      SAID_WITHIN_MS,
    );
  };
  const says = async (why: RegExp) => {
    await saysInStatus(why);
    const { problem = "" } = (await backend.functions.get(ref)) ?? {};
    // Callers are told of what kind it is, and no more.
    const kindOf = (text: string) => text.split(/[,:;]/)[0];
    await eventually("the gateway is told", () => kindOf(told?.problem ?? "") === kindOf(problem), SAID_WITHIN_MS);
    expect(told?.problem).not.toMatch(/[:;]/);
  };
  const saysNothing = () =>
    eventually("all is well", async () => {
      const status = await backend.functions.get(ref);
      return status !== undefined && status.problem === undefined && told?.problem === undefined;
    });

  test("when a secret that it mounts was deleted, until it is back", async () => {
    await backend.secrets.create(key, Buffer.from("1"));
    await backend.functions.create({ ...definition, secrets: ["key"] });
    await ready(1);
    await backend.secrets.remove(key, true);
    await backend.functions.scale(ref, 2);
    await says(/^the container cannot be created: MountVolume\.SetUp failed for volume.*secret "key" not found$/);
    expect(await backend.functions.get(ref)).toMatchObject({ replicas: 2, availableReplicas: 1 });
    await backend.secrets.create(key, Buffer.from("2"));
    await ready(2);
    await saysNothing();
  });

  test("when a secret that a variable is taken from was deleted", async () => {
    await backend.functions.create(definition);
    await ready(1);
    const env = [{ name: "A", valueFrom: { secretKeyRef: { name: "gone", key: "a" } } }];
    const template = { spec: { containers: [{ name: "fn", env }] } };
    const path = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/fn`;
    await client.patch(path, { spec: { template } }, "strategic-merge");
    await says(/^the container cannot be configured: secret "gone" not found$/);
  });

  test("when its image cannot be pulled, until it can", async () => {
    runtime.withholdImage("fn:1");
    await backend.functions.create(definition);
    await says(/^the image cannot be pulled: .*"fn:1".*not found/);
    runtime.releaseImage("fn:1");
    await ready(1);
    await saysNothing();
  });

  test("when it crashes again and again", async () => {
    await backend.functions.create(definition);
    await ready(1);
    const crash = () => {
      for (const pod of kube.store.list("pods", NAMESPACE)) runtime.crash(pod.metadata.uid, 7);
    };
    crash();
    await eventually("it is started again", () => {
      crash();
      const pods = kube.store.list("pods", NAMESPACE) as {
        status?: { containerStatuses?: { restartCount: number }[] };
      }[];
      return pods.some(({ status }) => (status?.containerStatuses?.[0]?.restartCount ?? 0) >= 2);
    });
    crash();
    await says(/^exited with code 7, \d restarts/);
  });

  test("when no node has room, until one has", async () => {
    kube.scheduler.suspend("1 Insufficient memory");
    await backend.functions.create(definition);
    await saysInStatus(/^no node can take it: .*Insufficient memory/);
    // Calls go on to wait: a cluster may be about to grow.
    expect(told).toMatchObject({ replicas: 1 });
    expect(told).not.toHaveProperty("problem");
    kube.scheduler.suspend("");
    await ready(1);
    await saysNothing();
  });

  test("when a quota is used up", async () => {
    const quota = { apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "few" }, spec: { hard: { pods: "1" } } };
    await client.create(`${CORE}/resourcequotas`, quota);
    await backend.functions.create(definition);
    await ready(1);
    await backend.functions.scale(ref, 2);
    await says(/^no pod can be made: .*exceeded quota: few/);
  });
});

describe("pods that are stuck", () => {
  const pod = (status: V1Pod["status"], metadata: V1Pod["metadata"] = {}): V1Pod => ({
    metadata: { uid: "u", name: "p", namespace: "n", ...metadata },
    status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }], ...status },
  });
  const container = (reason: string) => ({
    containerStatuses: [
      { name: "fn", image: "", imageID: "", ready: false, restartCount: 0, state: { waiting: { reason } } },
    ],
  });

  test.each<[what: string, pod: V1Pod, expected: boolean]>([
    ["with a node and no container yet", pod({}), true],
    ["whose container is being created", pod(container("ContainerCreating")), true],
    ["without a node", pod({ conditions: [] }), false],
    ["whose container says what it waits for", pod(container("ErrImagePull")), false],
    ["that run", pod({ phase: "Running" }), false],
    ["that go", pod({}, { deletionTimestamp: new Date(0) }), false],
    [
      "that are only pulling their image",
      pod({
        conditions: [
          { type: "PodScheduled", status: "True" },
          { type: "PodReadyToStartContainers", status: "True" },
        ],
      }),
      false,
    ],
  ])("are not those %s, or are", (_what, given, expected) => {
    expect(isBeingCreated(given)).toBe(expected);
  });

  test("are told by the latest Event about them", () => {
    const event = (uid: string, message: string, seconds: number) => ({
      metadata: {},
      involvedObject: { uid },
      message,
      lastTimestamp: new Date(seconds * 1000),
    });
    const messages = latestMessages([event("a", "newer", 2), event("a", "older", 1), event("b", "other", 1)]);
    expect([...messages].sort()).toEqual([
      ["a", "newer"],
      ["b", "other"],
    ]);
  });

  test("cost two requests a namespace, however many they are, and none once they are up", async () => {
    const asked: string[] = [];
    const closed = new AbortController();
    const get = async <T>(path: string): Promise<T> => {
      asked.push(path);
      return { items: [] } as T;
    };
    const log = createLogger("silent");
    const now = () => performance.now();
    const seen: V1Pod[] = [];
    const sink = { replace: () => {}, put: (one: V1Pod) => void seen.push(one), remove: () => {} };
    const pods = new StuckPods({ client: { get }, log, signal: closed.signal, now }).explaining(sink);
    const all = Array.from({ length: 1_000 }, (_, index) => pod({}, { uid: `u${index}` }));
    for (const one of all) pods.put(one);
    await eventually("they are asked about", () => asked.length > 0);
    for (const one of all) pods.put({ ...one, status: { ...one.status, phase: "Running" } });
    expect(seen).toHaveLength(2_000);
    await eventually("both reasons are asked about", () => asked.length === 2);
    expect(new Set(asked)).toEqual(new Set(["/api/v1/namespaces/n/events"]));
    closed.abort();
  });
});
