import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import type { Backend } from "../../../provider/backends/backend.ts";
import { KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import type { RequestInfo } from "../../support/kube/http/faults.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;

let kube: KubeServer;
let backend: Backend;
let leave: AbortController;
let snapshot: Map<string, FunctionEndpoints>;

beforeEach(async () => {
  kube = await KubeServer.open({ bookmarkIntervalMs: 50 });
  backend = openBackend(kube);
  leave = new AbortController();
  snapshot = new Map();
  void (async () => {
    for await (const event of backend.watch(leave.signal)) {
      if (event.type === "removed") snapshot.delete(event.function.name);
      else if (event.type !== "heartbeat") snapshot.set(event.function.name, event.function);
    }
  })();
});

afterEach(async () => {
  leave.abort();
  await backend.close(0);
  await kube.close();
});

const ref = (name: string) => ({ name, namespace: NAMESPACE });
const create = (service: string) => backend.functions.create({ service, image: "fn:1", namespace: NAMESPACE });
const readyIn = (name: string) => snapshot.get(name)?.endpoints.filter(({ state }) => state === "ready").length ?? 0;
const readyReplicas = (name: string, count: number, deadlineMs?: number) =>
  eventually(`${name} has ${count} ready replicas`, () => readyIn(name) === count, deadlineMs);
const scaleByHand = (name: string, replicas: number) =>
  new KubeClient(kube).patch(`${DEPLOYMENTS}/${name}`, { spec: { replicas } });

test("the snapshot outlasts the API server's absence, writes fail meanwhile, and all goes on afterwards", async () => {
  await create("fn");
  await readyReplicas("fn", 1);
  await kube.goAway();
  expect(await backend.functions.get(ref("fn"))).toMatchObject({ name: "fn", availableReplicas: 1 });
  expect(readyIn("fn")).toBe(1);
  await expect(create("other")).rejects.toMatchObject({ kind: "unavailable" });
  await kube.comeBack();
  await scaleByHand("fn", 3);
  await readyReplicas("fn", 3);
  await create("other");
  await readyReplicas("other", 1);
});

test("watches that are cut and cannot be resumed list anew, and see what has gone", async () => {
  await create("a");
  await create("b");
  await readyReplicas("a", 1);
  await readyReplicas("b", 1);
  kube.faults.answer({ status: 503, matches: ({ verb }) => verb === "watch" });
  kube.watches.cut();
  await new KubeClient(kube).delete(`${DEPLOYMENTS}/b`);
  const before = kube.faults.count("list", "deployments.apps");
  kube.compact();
  kube.faults.clear();
  await eventually("b is gone", () => !snapshot.has("b"));
  await scaleByHand("a", 2);
  await readyReplicas("a", 2);
  expect(kube.faults.count("list", "deployments.apps")).toBeGreaterThan(before);
});

test("watches that are cut all the time keep up", async () => {
  kube.cutWatchesEvery(50);
  await create("fn");
  for (const count of [2, 5, 1]) {
    await backend.functions.scale(ref("fn"), count);
    await readyReplicas("fn", count);
  }
});

describe("an API server that fails now and then", () => {
  test.each([500, 503])("with %d makes writes unavailable, never an internal error", async (status) => {
    kube.faults.answer({ status, times: 1, matches: ({ method }) => method === "PATCH" });
    await expect(create("fn")).rejects.toMatchObject({ name: "FaasError", kind: "unavailable" });
    await create("fn");
    await readyReplicas("fn", 1);
  });

  test.each([500, 502, 503, 504])("with %d is read from again", async (status) => {
    kube.faults.answer({ status, times: 2, matches: ({ verb }) => verb === "get" });
    expect(await backend.functions.get(ref("nobody"))).toBeUndefined();
  });

  test.each([429, 503])("and asks with %d to come back later is asked again then, for writes too", async (status) => {
    kube.faults.answer({ status, retryAfterSeconds: 1, times: 1, matches: ({ verb }) => verb === "apply" });
    const before = Date.now();
    await create("fn");
    expect(Date.now() - before).toBeGreaterThanOrEqual(990);
    expect(kube.faults.count("apply", "services")).toBe(2);
    expect(kube.faults.count("apply", "deployments.apps")).toBe(1);
    await readyReplicas("fn", 1);
  });

  test("and asks for more time than anybody has is not waited for", async () => {
    const stop = kube.faults.answer({ status: 429, retryAfterSeconds: 60, matches: ({ verb }) => verb === "apply" });
    await expect(create("fn")).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringMatching(/too many requests/),
    });
    stop();
    await create("fn");
  });

  test("and asks watches to come back later is left alone for that time", async () => {
    await create("fn");
    await readyReplicas("fn", 1);
    const before = kube.faults.count("watch", "pods");
    const since = Date.now();
    kube.faults.answer({
      status: 429,
      retryAfterSeconds: 1,
      times: 1,
      matches: ({ verb, resource }) => verb === "watch" && resource === "pods",
    });
    kube.watches.cut();
    await eventually("it is watched again", () => kube.faults.count("watch", "pods") === before + 2);
    expect(Date.now() - since).toBeGreaterThanOrEqual(990);
  });

  test("in half of its watches and lists is followed all the same", async () => {
    // One that is refused again and again waits longer each time, up to 10 s; by chance it can be eight times in a row.
    const deadlineMs = 45_000;
    kube.faults.answer({ status: 500, fraction: 0.5, matches: ({ verb }) => verb === "list" || verb === "watch" });
    kube.cutWatchesEvery(100);
    await create("fn");
    await readyReplicas("fn", 1, deadlineMs);
    await backend.functions.scale(ref("fn"), 4);
    await readyReplicas("fn", 4, deadlineMs);
  }, 100_000);
});

test("two providers see each other's functions, and their writes do not undo each other", async () => {
  const other = openBackend(kube);
  try {
    await create("fn");
    await eventually("the other sees it", async () => (await other.functions.list(NAMESPACE)).length === 1);
    await Promise.all([
      backend.functions.update({ service: "fn", image: "fn:2", namespace: NAMESPACE }),
      other.functions.scale(ref("fn"), 3),
    ]);
    await eventually("both writes hold", async () => {
      const status = await backend.functions.get(ref("fn"));
      return status?.image === "fn:2" && status.replicas === 3;
    });
    await other.functions.remove(ref("fn"));
    await eventually("it is gone here too", async () => (await backend.functions.get(ref("fn"))) === undefined);
  } finally {
    await other.close(0);
  }
});

test("a function that others write all the time can be deployed and scaled all the same", async () => {
  await create("fn");
  await readyReplicas("fn", 1);
  const busy = (subresource: string) => {
    const isWrite = (asked: RequestInfo) => asked.method === "PATCH" && asked.resource === "deployments.apps";
    const matches = (asked: RequestInfo) => isWrite(asked) && asked.subresource === subresource;
    kube.faults.answer({ status: 409, times: 12, matches });
  };
  busy("");
  await backend.functions.update({ service: "fn", image: "fn:2", namespace: NAMESPACE });
  busy("scale");
  await backend.functions.scale(ref("fn"), 2);
  expect(kube.faults.requests.filter(({ subresource }) => subresource === "scale")).toHaveLength(13);
  await readyReplicas("fn", 2);
});

test("of several creates at once one succeeds", async () => {
  const results = await Promise.allSettled([create("fn"), create("fn"), create("fn")]);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const result of results) {
    if (result.status === "rejected") expect(result.reason).toMatchObject({ kind: "conflict" });
  }
});

test("a Service of somebody else is left alone", async () => {
  const client = new KubeClient(kube);
  const path = `/api/v1/namespaces/${NAMESPACE}/services`;
  const spec = { selector: { app: "db" }, ports: [{ name: "db", port: 5432 }] };
  await client.create(path, { apiVersion: "v1", kind: "Service", metadata: { name: "db" }, spec });
  await expect(create("db")).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining("db") });
  expect((await client.get(`${path}/db`)).spec.selector).toEqual({ app: "db" });
});

test("with one namespace there are no others, and none can be made", async () => {
  const single = openBackend(kube, { clusterRole: false });
  try {
    expect(await single.namespaces.list()).toEqual([NAMESPACE]);
    await expect(single.namespaces.create({ name: "staging" })).rejects.toMatchObject({ kind: "forbidden" });
    await expect(single.functions.list("openfaas")).rejects.toMatchObject({ kind: "invalid" });
    await single.functions.create({ service: "fn", image: "fn:1", namespace: NAMESPACE });
    await readyReplicas("fn", 1);
    const asked = kube.faults.requests.filter(({ resource, namespace }) => resource === "pods" && namespace !== "");
    expect(asked.length).toBeGreaterThan(0);
  } finally {
    await single.close(0);
  }
});

test("an API server that takes long for every answer is waited for", async () => {
  await create("fn");
  await readyReplicas("fn", 1);
  kube.faults.delayMs = 500;
  await create("slow");
  await backend.functions.scale(ref("fn"), 2);
  await readyReplicas("fn", 2);
  const before = Date.now();
  expect(await backend.functions.list(NAMESPACE)).toHaveLength(2);
  expect(Date.now() - before).toBeLessThan(400);
});
