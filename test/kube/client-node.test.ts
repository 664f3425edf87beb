import { Writable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
  ApiException,
  AppsV1Api,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  DiscoveryV1Api,
  KubeConfig,
  KubernetesObjectApi,
  Log,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1Deployment,
  V1MicroTime,
  VersionApi,
  Watch,
} from "@kubernetes/client-node";
import { eventually } from "../support/eventually.ts";
import { KubeServer } from "../support/kube/server.ts";
import { deployment, service } from "./client.ts";

const namespace = "openfaas-fn";
let kube: KubeServer;
let config: KubeConfig;

beforeAll(async () => {
  kube = await KubeServer.open({ token: "t0ken", bookmarkIntervalMs: 50 });
  config = new KubeConfig();
  config.loadFromString(kube.kubeconfig({ namespace }));
});

afterAll(async () => {
  await kube.close();
});

test("the official client reads and writes", async () => {
  const apps = config.makeApiClient(AppsV1Api);
  const core = config.makeApiClient(CoreV1Api);
  expect((await config.makeApiClient(VersionApi).getCode()).gitVersion).toBe("v1.34.0");
  const created = await apps.createNamespacedDeployment({
    namespace,
    body: deployment("node"),
    fieldValidation: "Strict",
  });
  expect(created.metadata?.creationTimestamp).toBeInstanceOf(Date);
  await core.createNamespacedService({ namespace, body: service("node") });
  const available = await eventually("it is available", async () => {
    const { status } = await apps.readNamespacedDeployment({ name: "node", namespace });
    return status?.availableReplicas === 1 && status;
  });
  expect(available.conditions?.map(({ type }) => type).sort()).toEqual(["Available", "Progressing"]);
  const pods = await core.listNamespacedPod({ namespace, labelSelector: "faas_function=node", limit: 10 });
  expect(pods.items).toHaveLength(1);
  const slices = await config.makeApiClient(DiscoveryV1Api).listNamespacedEndpointSlice({ namespace });
  expect(slices.items[0]?.endpoints?.[0]?.conditions?.ready).toBe(true);
  const scale = await apps.readNamespacedDeploymentScale({ name: "node", namespace });
  const scaled = await apps.replaceNamespacedDeploymentScale({
    name: "node",
    namespace,
    body: { ...scale, spec: { replicas: 2 } },
  });
  expect(scaled.spec?.replicas).toBe(2);
});

test("the official client patches and applies", async () => {
  const apps = config.makeApiClient(AppsV1Api);
  const body = deployment("applied", { replicas: 1 });
  const applied = await apps.patchNamespacedDeployment(
    { name: "applied", namespace, body, fieldManager: "me", force: true },
    setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply),
  );
  expect(applied.metadata?.managedFields?.[0]).toMatchObject({ manager: "me", operation: "Apply" });
  const patched = await apps.patchNamespacedDeployment(
    { name: "applied", namespace, body: { metadata: { annotations: { a: "b" } } } },
    setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
  );
  expect(patched.metadata?.annotations?.a).toBe("b");
  const objects = KubernetesObjectApi.makeApiClient(config);
  const again = await objects.patch<V1Deployment>(
    { ...body, metadata: { name: "applied", namespace } },
    undefined,
    undefined,
    "me",
    true,
    PatchStrategy.ServerSideApply,
  );
  expect(again.metadata?.annotations?.a).toBe("b");
});

test("the official client gets errors that it understands", async () => {
  const failure = await config
    .makeApiClient(AppsV1Api)
    .readNamespacedDeployment({ name: "none", namespace })
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApiException);
  const { code, body } = failure as ApiException<string>;
  expect([code, JSON.parse(body).reason]).toEqual([404, "NotFound"]);
});

test("the official client takes leases and custom objects", async () => {
  const leases = config.makeApiClient(CoordinationV1Api);
  const renewTime = new V1MicroTime();
  const lease = await leases.createNamespacedLease({
    namespace,
    body: { metadata: { name: "leader" }, spec: { holderIdentity: "a", renewTime } },
  });
  const mine = await leases.replaceNamespacedLease({ name: "leader", namespace, body: lease });
  expect(mine.spec?.holderIdentity).toBe("a");
  const custom = config.makeApiClient(CustomObjectsApi);
  const where = { group: "openfaas.com", version: "v1", namespace, plural: "functions" };
  const body = {
    apiVersion: "openfaas.com/v1",
    kind: "Function",
    metadata: { name: "f" },
    spec: { name: "f", image: "i" },
  };
  await custom.createNamespacedCustomObject({ ...where, body });
  expect((await custom.listNamespacedCustomObject(where)).items).toHaveLength(1);
});

test("the official client watches", async () => {
  const seen: string[] = [];
  const core = config.makeApiClient(CoreV1Api);
  const controller = await new Watch(config).watch(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { allowWatchBookmarks: true },
    (type: string, object: { metadata: { name: string } }) => {
      if (type !== "BOOKMARK") seen.push(`${type} ${object.metadata.name}`);
    },
    () => {},
  );
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "w" } } });
  await core.deleteNamespacedConfigMap({ name: "w", namespace });
  await eventually("both are seen", () => seen.length === 2);
  expect(seen).toEqual(["ADDED w", "DELETED w"]);
  controller.abort();
});

test("the official client's informer keeps a snapshot, also over a 410", async () => {
  const core = config.makeApiClient(CoreV1Api);
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/secrets`, () =>
    core.listNamespacedSecret({ namespace }),
  );
  // The client's informer stops at errors other than 410, so that it is up to its users to start it again.
  let wanted = true;
  informer.on("error", () => void (wanted && informer.start()));
  await core.createNamespacedSecret({ namespace, body: { metadata: { name: "one" }, stringData: { a: "b" } } });
  await informer.start();
  const names = () => informer.list().map((secret) => secret.metadata?.name);
  await eventually("what there was", () => names().join() === "one");
  kube.compact();
  kube.watches.cut();
  await core.createNamespacedSecret({ namespace, body: { metadata: { name: "two" }, stringData: { a: "b" } } });
  await eventually("what has come", () => names().sort().join() === "one,two");
  await core.deleteNamespacedSecret({ name: "one", namespace });
  await eventually("what is left", () => names().join() === "two");
  wanted = false;
  await informer.stop();
});

test("the official client reads logs", async () => {
  const core = config.makeApiClient(CoreV1Api);
  const { items } = await core.listNamespacedPod({ namespace, labelSelector: "faas_function=node" });
  const name = items[0]?.metadata?.name as string;
  expect(await core.readNamespacedPodLog({ name, namespace })).toBe("started\n");
  let text = "";
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  await new Log(config).log(namespace, name, "node", sink, { follow: true, timestamps: true });
  await eventually("it is read", () => text.includes("started"));
  await core.deleteNamespacedPod({ name, namespace });
  await eventually("it ends with the pod", () => sink.writableFinished);
});
