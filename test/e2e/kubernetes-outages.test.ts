import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { FunctionStatus } from "../../contract/functions.ts";
import { type Answer, KubeClient } from "../kube/client.ts";
import { ProviderAccount } from "../provider/kubernetes/account.ts";
import { inProcess, NAMESPACE, writeKubeconfig } from "../provider/kubernetes/support.ts";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";
import { ProcessRuntime } from "../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../support/kube/server.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

/** How long the API server stays away, in milliseconds: `FAULT_OUTAGE_MS=60000` for the whole minute. */
const OUTAGE_MS = Number(process.env.FAULT_OUTAGE_MS ?? 3_000);
const FUNCTIONS = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/functions`;
const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
/** The longest pause between two tries, and some. */
const RECOVERS_MS = 20_000;

const answering = (version: string) => inProcess(`export default (req, res) => res.end("${version}");`);

const account = new ProviderAccount({ clusterRole: false });
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let kube: KubeServer;
let provider: ServerProcess;
let gateway: ServerProcess;

beforeAll(async () => {
  folder = await temporaryFolder();
  const runtime = await ProcessRuntime.open({ "fn:1": answering("v1"), "fn:2": answering("v2") });
  kube = await KubeServer.open({ runtime, account });
  const KUBECONFIG = await writeKubeconfig(kube, folder.path);
  const env = { backend: "kubernetes", KUBECONFIG, data_dir: folder.path };
  provider = await startServerProcess("provider/main.ts", env);
  gateway = await startServerProcess("gateway/process/main.ts", {
    functions_provider_url: provider.url,
    data_dir: folder.path,
  });
}, 60_000);

afterEach(async () => {
  kube.faults.clear();
  kube.cutWatchesEvery(undefined);
  await kube.comeBack().catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ERR_SERVER_ALREADY_LISTEN") throw error;
  });
});

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
  await kube?.close();
  await folder?.remove();
  account.expectNothingRefused();
});

const send = async (method: string, path: string, body?: unknown) => {
  const init = body === undefined ? { method } : { method, ...jsonBody(body) };
  const response = await fetch(gateway.url + path, init);
  return { status: response.status, text: await response.text() };
};
const statusOf = async (name: string): Promise<FunctionStatus | undefined> => {
  const { status, text } = await send("GET", `/system/function/${name}`);
  expect([200, 404]).toContain(status);
  return status === 200 ? (JSON.parse(text) as FunctionStatus) : undefined;
};
const call = (name: string) => send("GET", `/function/${name}`);
const deploy = (service: string, method = "POST", image = "fn:1") =>
  send(method, "/system/functions", { service, image });
const scale = (name: string, replicas: number) => send("POST", `/system/scale-function/${name}`, { replicas });
const hasReady = (name: string, replicas: number) =>
  eventually(
    `${name} has ${replicas} ready replicas`,
    async () => ((await statusOf(name))?.availableReplicas ?? 0) === replicas,
    RECOVERS_MS,
  );

/** Calls a function all the time, one call after the other, until `work` is done. */
async function callingAllTheTime(name: string, work: () => Promise<void>): Promise<number> {
  let done = false;
  let calls = 0;
  const calling = (async () => {
    while (!done) {
      expect(await call(name)).toEqual({ status: 200, text: expect.stringMatching(/^v[12]$/) });
      calls += 1;
    }
  })();
  try {
    await work();
  } finally {
    done = true;
  }
  await calling;
  return calls;
}

test(
  "while the API server is away calls go on, and afterwards what has happened meanwhile is seen",
  async () => {
    for (const name of ["stays", "grows", "goes"]) {
      expect((await deploy(name)).status).toBe(202);
      await hasReady(name, 1);
    }
    const client = new KubeClient(kube);
    const calls = await callingAllTheTime("stays", async () => {
      await kube.goAway();
      const back = Date.now() + OUTAGE_MS;
      const away = { status: 503, text: expect.stringContaining("the Kubernetes API cannot be reached") };
      expect(await deploy("new")).toEqual(away);
      expect(await deploy("stays", "PUT", "fn:2")).toEqual(away);
      expect(await scale("stays", 2)).toEqual(away);
      expect(await send("DELETE", "/system/functions", { functionName: "stays" })).toEqual(away);
      expect(await send("GET", "/system/secrets")).toEqual(away);
      expect(await statusOf("stays")).toMatchObject({ availableReplicas: 1 });
      expect(JSON.parse((await send("GET", "/system/functions")).text)).toHaveLength(3);
      // As other clients may do before we are back, and etcd forgets how it came about.
      kube.faults.answer({ status: 503, matches: ({ userAgent }) => userAgent === "faaslane-provider" });
      await eventually("the time is over", () => Date.now() >= back, OUTAGE_MS + 5_000);
      await kube.comeBack();
      await client.patch(`${DEPLOYMENTS}/grows`, { spec: { replicas: 3 } });
      await client.delete(`${FUNCTIONS}/goes`);
      kube.compact();
      kube.faults.clear();
      await hasReady("grows", 3);
      await eventually("it is gone", async () => (await statusOf("goes")) === undefined, RECOVERS_MS);
    });
    expect(calls).toBeGreaterThan(10);
    expect((await deploy("new")).status).toBe(202);
    expect(await call("new")).toEqual({ status: 200, text: "v1" });
    expect((await call("goes")).status).toBe(404);
  },
  OUTAGE_MS + 90_000,
);

test("watches that are cut every second while things change lose nothing", async () => {
  kube.cutWatchesEvery(1_000);
  expect((await deploy("cut")).status).toBe(202);
  await hasReady("cut", 1);
  const watched = () => kube.faults.count("watch", "pods");
  const before = watched();
  await callingAllTheTime("cut", async () => {
    for (let round = 0; watched() < before + 3; round += 1) {
      const image = `fn:${1 + (round % 2)}`;
      const replicas = 1 + (round % 3);
      expect((await deploy("cut", "PUT", image)).status).toBe(202);
      expect((await scale("cut", replicas)).status).toBe(202);
      await eventually(
        `it is as it was asked for, ${replicas} of ${image}`,
        async () => {
          expect(await statusOf("cut")).toMatchObject({ image, availableReplicas: replicas });
          return true;
        },
        RECOVERS_MS,
      );
    }
  });
}, 90_000);

test("an API server that takes 2 s for every answer is waited for, and nothing piles up", async () => {
  expect((await deploy("slow")).status).toBe(202);
  await hasReady("slow", 1);
  kube.faults.delayMs = 2_000;
  const asked = kube.faults.requests.length;
  const made = deploy("slower");
  const scaled = scale("slow", 3);
  const unknown = Promise.all(Array.from({ length: 50 }, () => send("GET", "/system/function/nobody")));
  const before = Date.now();
  const list = JSON.parse((await send("GET", "/system/functions")).text) as FunctionStatus[];
  expect(list.map(({ name }) => name)).toContain("slow");
  expect(await call("slow")).toMatchObject({ status: 200 });
  expect(Date.now() - before).toBeLessThan(1_500);
  expect(await made).toEqual({ status: 202, text: "" });
  expect(await scaled).toEqual({ status: 202, text: "" });
  for (const { status } of await unknown) expect(status).toBe(404);
  const about = kube.faults.requests.slice(asked).filter(({ name }) => name === "nobody");
  expect(about.length).toBeLessThan(5);
  await hasReady("slow", 3);
  await hasReady("slower", 1);
}, 90_000);

test("errors of the API server come through as unavailable with the reason, or not at all", async () => {
  expect((await deploy("steady")).status).toBe(202);
  await hasReady("steady", 1);
  const isWrite = ({ method }: { method: string }) => method !== "GET";
  for (const status of [500, 502, 503, 504]) {
    const stop = kube.faults.answer({ status, matches: isWrite });
    const unavailable = { status: 503, text: expect.stringContaining("the Kubernetes API is not available: ") };
    expect(await deploy("steady", "PUT", "fn:2")).toEqual(unavailable);
    expect(await scale("steady", 2)).toEqual(unavailable);
    expect(await deploy("more")).toEqual(unavailable);
    stop();
  }
  kube.faults.answer({ status: 429, retryAfterSeconds: 1, times: 1, matches: isWrite });
  expect(await scale("steady", 2)).toEqual({ status: 202, text: "" });
  kube.faults.answer({ status: 500, times: 2, matches: ({ method }) => method === "GET" });
  expect(await deploy("steady", "PUT", "fn:2")).toEqual({ status: 202, text: "" });
  await hasReady("steady", 2);
}, 60_000);

test("a deployment that is edited or deleted by hand is put right, and its calls are answered", async () => {
  const client = new KubeClient(kube);
  expect((await deploy("edited")).status).toBe(202);
  await hasReady("edited", 1);
  await client.patch(`${DEPLOYMENTS}/edited`, { spec: { replicas: 2 } });
  await hasReady("edited", 2);
  const template = { spec: { containers: [{ name: "edited", image: "fn:2" }] } };
  await client.patch(`${DEPLOYMENTS}/edited`, { spec: { template } }, "strategic-merge");
  const { generation } = (await client.get(`${DEPLOYMENTS}/edited`)).metadata;
  await eventually("the edit is undone", async () => {
    const { spec, metadata } = await client.get(`${DEPLOYMENTS}/edited`);
    return metadata.generation > generation && spec.template.spec.containers[0].image === "fn:1";
  });
  await hasReady("edited", 2);
  await client.delete(`${DEPLOYMENTS}/edited`);
  await eventually("it is made again", async () => {
    const { items } = await client.get(DEPLOYMENTS);
    return items.some(({ metadata }: Answer) => metadata.name === "edited" && !metadata.deletionTimestamp);
  });
  expect(await call("edited")).toEqual({ status: 200, text: "v1" });
  expect(await statusOf("edited")).toMatchObject({ image: "fn:1" });
}, 60_000);
