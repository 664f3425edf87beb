import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { KubeServer } from "../support/kube/server.ts";
import { CONFIG_MAPS, configMap, DEPLOYMENTS, deployment, KubeClient, OpenWatch, PODS } from "./client.ts";

let kube: KubeServer;
let client: KubeClient;

beforeEach(async () => {
  kube = await KubeServer.open();
  client = new KubeClient(kube);
});

afterEach(async () => {
  await kube.close();
});

test("it goes away and comes back at the same address, with its state", async () => {
  await client.create(CONFIG_MAPS, configMap("a"));
  const watch = await OpenWatch.open(kube, `${PODS}?watch=1`);
  const { url } = kube;
  await kube.goAway();
  await watch.ended;
  await expect(client.get(CONFIG_MAPS)).rejects.toThrow("fetch failed");
  await kube.comeBack();
  expect(kube.url).toBe(url);
  expect((await client.get(CONFIG_MAPS)).items).toHaveLength(1);
});

test("controllers go on while it is away", async () => {
  await client.create(DEPLOYMENTS, deployment("a"));
  await kube.goAway();
  await eventually("the pod is there", () => kube.store.list("pods").length === 1);
  await kube.comeBack();
});

test("watches are cut, once or again and again", async () => {
  const first = await OpenWatch.open(kube, `${PODS}?watch=1`);
  kube.watches.cut();
  await first.ended;
  kube.cutWatchesEvery(10);
  for (let i = 0; i < 3; i += 1) await (await OpenWatch.open(kube, `${PODS}?watch=1`)).ended;
  kube.cutWatchesEvery(undefined);
  expect(kube.faults.count("watch", "pods")).toBe(4);
});

test("the next requests are answered with errors", async () => {
  kube.faults.answer({ status: 429, retryAfterSeconds: 1, times: 2, matches: ({ verb }) => verb === "create" });
  const refused = await client.send("POST", CONFIG_MAPS, configMap("a"));
  expect([refused.status, refused.headers.get("retry-after"), refused.body.reason]).toEqual([
    429,
    "1",
    "TooManyRequests",
  ]);
  expect((await client.send("GET", CONFIG_MAPS)).status).toBe(200);
  expect((await client.send("POST", CONFIG_MAPS, configMap("a"))).status).toBe(429);
  expect((await client.send("POST", CONFIG_MAPS, configMap("a"))).status).toBe(201);
});

test("a part of the requests is answered with errors, until that ends", async () => {
  const end = kube.faults.answer({ status: 500, fraction: 0.25 });
  const statuses = [];
  for (let i = 0; i < 8; i += 1) statuses.push((await client.send("GET", CONFIG_MAPS)).status);
  expect(statuses.filter((status) => status === 500)).toHaveLength(2);
  end();
  for (let i = 0; i < 4; i += 1) expect((await client.send("GET", CONFIG_MAPS)).status).toBe(200);
});

test("a refusal can be made to measure", async () => {
  kube.faults.answer({
    status: 403,
    message: 'pods is forbidden: User "x" cannot list resource "pods"',
    matches: ({ resource }) => resource === "pods",
  });
  const { status, body } = await client.send("GET", PODS);
  expect([status, body.reason, body.message]).toEqual([403, "Forbidden", expect.stringContaining("cannot list")]);
});

test("answers are late", async () => {
  kube.faults.delayMs = 60;
  const before = performance.now();
  await client.get(CONFIG_MAPS);
  expect(performance.now() - before).toBeGreaterThanOrEqual(59);
  kube.faults.clear();
});

test("requests are counted by verb and resource", async () => {
  await client.create(DEPLOYMENTS, deployment("a"));
  await client.patch(`${DEPLOYMENTS}/a/scale`, { spec: { replicas: 2 } });
  await client.get(DEPLOYMENTS);
  expect(kube.faults.count("create")).toBe(1);
  expect(kube.faults.count("patch", "deployments.apps")).toBe(1);
  expect(kube.faults.count("patch", "pods")).toBe(0);
  expect(kube.faults.requests.at(1)).toMatchObject({
    verb: "patch",
    name: "a",
    subresource: "scale",
    namespace: "openfaas-fn",
  });
});
