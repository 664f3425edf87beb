import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { KubeServer } from "../support/kube/server.ts";
import { CONFIG_MAPS, configMap, KubeClient, OpenWatch, PODS, SLICES } from "./client.ts";

let kube: KubeServer;
let client: KubeClient;
let watches: OpenWatch[];

beforeEach(async () => {
  kube = await KubeServer.open({ bookmarkIntervalMs: 20, eventWindow: 10 });
  client = new KubeClient(kube);
  watches = [];
});

afterEach(async () => {
  for (const watch of watches) watch.close();
  await kube.close();
});

async function watch(query = "", path = CONFIG_MAPS): Promise<OpenWatch> {
  const opened = await OpenWatch.open(kube, `${path}?watch=1&${query}`);
  watches.push(opened);
  return opened;
}

async function seen(opened: OpenWatch, summary: readonly string[]): Promise<void> {
  try {
    await eventually("the events are there", () => opened.summary.length >= summary.length, 3_000);
  } finally {
    expect(opened.summary).toEqual(summary);
  }
}

test("without a revision, what there is comes first", async () => {
  await client.create(CONFIG_MAPS, configMap("a"));
  const opened = await watch();
  await client.patch(`${CONFIG_MAPS}/a`, { data: { x: "y" } });
  await client.delete(`${CONFIG_MAPS}/a`);
  await seen(opened, ["ADDED a", "MODIFIED a", "DELETED a"]);
  const [added, modified, deleted] = opened.events.map(({ object }) => Number(object.metadata.resourceVersion));
  expect(modified).toBeGreaterThan(added as number);
  expect(deleted).toBeGreaterThan(modified as number);
  expect(opened.events[0]?.object.kind).toBe("ConfigMap");
});

test("from a revision, exactly what came after it", async () => {
  await client.create(CONFIG_MAPS, configMap("a"));
  const { metadata } = await client.get(CONFIG_MAPS);
  await client.create(CONFIG_MAPS, configMap("b"));
  await client.delete(`${CONFIG_MAPS}/a`);
  const opened = await watch(`resourceVersion=${metadata.resourceVersion}`);
  await client.create(CONFIG_MAPS, configMap("c"));
  await seen(opened, ["ADDED b", "DELETED a", "ADDED c"]);
});

test("only one namespace is seen, or all", async () => {
  const all = await watch("", "/api/v1/configmaps");
  const one = await watch();
  await client.create("/api/v1/namespaces/default/configmaps", { metadata: { name: "elsewhere" } });
  await client.create(CONFIG_MAPS, configMap("here"));
  await seen(one, ["ADDED here"]);
  await seen(all, ["ADDED elsewhere", "ADDED here"]);
});

test("what begins or ceases to be selected seems to come or go", async () => {
  const opened = await watch("labelSelector=on%3Dyes");
  await client.create(CONFIG_MAPS, configMap("a"));
  await client.patch(`${CONFIG_MAPS}/a`, { metadata: { labels: { on: "yes" } } });
  await client.patch(`${CONFIG_MAPS}/a`, { data: { x: "y" } });
  await client.patch(`${CONFIG_MAPS}/a`, { metadata: { labels: { on: "no" } } });
  await client.delete(`${CONFIG_MAPS}/a`);
  await client.create(CONFIG_MAPS, configMap("b", {}, { on: "yes" }));
  await seen(opened, ["ADDED a", "MODIFIED a", "DELETED a", "ADDED b"]);
});

test("bookmarks come to those who ask, with the latest revision", async () => {
  const opened = await watch("allowWatchBookmarks=true&resourceVersion=0");
  const other = await watch();
  const { metadata } = await client.create("/api/v1/namespaces", { metadata: { name: "unrelated" } });
  const bookmark = await eventually("a bookmark with that revision", () =>
    opened.events.find(({ object }) => Number(object.metadata.resourceVersion) >= Number(metadata.resourceVersion)),
  );
  expect(bookmark).toMatchObject({ type: "BOOKMARK", object: { kind: "ConfigMap", apiVersion: "v1" } });
  expect(other.events).toEqual([]);
});

test("bookmarks have the shape of their kind", async () => {
  const pods = await watch("allowWatchBookmarks=true", PODS);
  const slices = await watch("allowWatchBookmarks=true", SLICES);
  const pod = await eventually("one for pods", () => pods.events[0]);
  expect(pod.object).toMatchObject({ kind: "Pod", spec: { containers: null }, status: {} });
  const slice = await eventually("one for slices", () => slices.events[0]);
  expect(slice.object).toMatchObject({ kind: "EndpointSlice", endpoints: null, ports: null });
});

test("a list may be had as events, with a bookmark at its end", async () => {
  await client.create(CONFIG_MAPS, configMap("a"));
  await client.create(CONFIG_MAPS, configMap("b"));
  const opened = await watch("sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan");
  await eventually("the end", () => opened.events.length >= 3);
  expect(opened.summary.slice(0, 3)).toEqual(["ADDED a", "ADDED b", "BOOKMARK"]);
  expect(opened.events[2]?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
});

test("a revision that is forgotten is an ERROR event with 410, then the end", async () => {
  const { metadata } = await client.create(CONFIG_MAPS, configMap("a"));
  kube.compact();
  const opened = await watch(`resourceVersion=${metadata.resourceVersion}`);
  await opened.ended;
  expect(opened.status).toBe(200);
  expect(opened.events).toEqual([
    {
      type: "ERROR",
      object: expect.objectContaining({ kind: "Status", code: 410, reason: "Expired", status: "Failure" }),
    },
  ]);
});

test("the window of events is bounded, for each resource", async () => {
  const { metadata } = await client.create(CONFIG_MAPS, configMap("a"));
  for (let i = 0; i < 20; i += 1) await client.patch(`${CONFIG_MAPS}/a`, { data: { i: String(i) } });
  const late = await watch(`resourceVersion=${metadata.resourceVersion}`);
  await seen(late, ["ERROR 410"]);
  const other = await watch(`resourceVersion=${metadata.resourceVersion}`, PODS);
  await client.create(PODS, { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } });
  await eventually("it goes on", () => other.summary[0] === "ADDED p");
});

test("a watch that is up to date survives a compaction", async () => {
  await client.create(CONFIG_MAPS, configMap("a"));
  const opened = await watch();
  kube.compact();
  await client.create(CONFIG_MAPS, configMap("b"));
  await seen(opened, ["ADDED a", "ADDED b"]);
  const { metadata } = await client.get(CONFIG_MAPS);
  const resumed = await watch(`resourceVersion=${metadata.resourceVersion}`);
  await client.create(CONFIG_MAPS, configMap("c"));
  await seen(resumed, ["ADDED c"]);
});

test("the time of a watch ends with a bookmark", async () => {
  const opened = await watch("timeoutSeconds=1&allowWatchBookmarks=true");
  await opened.ended;
  expect(opened.summary.at(-1)).toBe("BOOKMARK");
  expect(kube.watches.count).toBe(0);
});

test("one object can be watched by its name", async () => {
  const opened = await watch("fieldSelector=metadata.name%3Db");
  await client.create(CONFIG_MAPS, configMap("a"));
  await client.create(CONFIG_MAPS, configMap("b"));
  await seen(opened, ["ADDED b"]);
});

test("a malformed watch is refused before it begins", async () => {
  expect((await client.send("GET", `${CONFIG_MAPS}?watch=1&resourceVersion=abc`)).status).toBe(400);
  expect((await client.send("GET", `${CONFIG_MAPS}?watch=1&labelSelector=%28`)).status).toBe(400);
});
