import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { ProcessRuntime } from "../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../support/kube/server.ts";
import {
  type Answer,
  CORE,
  DEPLOYMENTS,
  deployment,
  KubeClient,
  PODS,
  SECRETS,
  SERVICES,
  SLICES,
  service,
} from "./client.ts";

const HANDLER = `
import { readFileSync, writeFileSync } from "node:fs";
export default async (req, res) => {
  if (req.url === "/crash") process.exit(3);
  if (req.url === "/sick") return writeFileSync(process.env.TMPDIR + "/sick", "") ?? res.end("ill");
  if (req.url === "/secret") return res.end(readFileSync(process.env.FAASLANE_SECRETS_DIR + "/api-key"));
  if (req.url === "/slow") await new Promise((resolve) => setTimeout(resolve, 300));
  console.log("called " + req.url);
  res.end(process.env.greeting + " from " + process.env.POD_NAME);
};
`;

const PROBE = { httpGet: { path: "/_/health", port: 8080 }, periodSeconds: 1, failureThreshold: 1 };

let runtime: ProcessRuntime;
let kube: KubeServer;
let client: KubeClient;

beforeEach(async () => {
  runtime = await ProcessRuntime.open({
    "fn:1": {
      env: { mode: "inproc", inproc_handler: "./index.mjs", healthcheck_interval: "0s" },
      files: { "index.mjs": HANDLER },
    },
    "broken:1": { env: { mode: "inproc", inproc_handler: "./nothing.mjs" } },
  });
  kube = await KubeServer.open({ runtime });
  client = new KubeClient(kube);
});

afterEach(async () => {
  await kube.close();
});

const ENV = [
  { name: "greeting", value: "hello" },
  { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
];

async function onlyPod(holds: (pod: Answer) => unknown = () => true): Promise<Answer> {
  return await eventually("there is such a pod", async () => {
    const { items } = await client.get(PODS);
    return items.find(holds);
  });
}

const isReady = (pod: Answer) => pod.status.containerStatuses?.[0]?.ready === true;
const stateOf = (pod: Answer) => pod.status.containerStatuses?.[0]?.state ?? {};

async function call(pod: Answer, path = "/"): Promise<string> {
  return await (await fetch(`http://${pod.status.podIP}:8080${path}`)).text();
}

test("a deployment is served by watchdogs, each on port 8080 of an address of its own", async () => {
  await client.create(SERVICES, service("hello"));
  await client.create(DEPLOYMENTS, deployment("hello", { replicas: 2 }, { env: ENV, readinessProbe: PROBE }));
  const slice = await eventually("two endpoints are ready", async () => {
    const { items } = await client.get(SLICES);
    return items[0]?.endpoints?.filter((e: Answer) => e.conditions.ready).length === 2 && items[0];
  });
  const addresses = slice.endpoints.map((e: Answer) => e.addresses[0]);
  expect(new Set(addresses).size).toBe(2);
  const answers = await Promise.all(
    addresses.map(async (ip: string) => await (await fetch(`http://${ip}:8080/`)).text()),
  );
  const names = slice.endpoints.map((e: Answer) => `hello from ${e.targetRef.name}`);
  expect(answers).toEqual(names);
});

test("secrets are files, which follow their changes, and a pod waits for those that are missing", async () => {
  const volumes = [{ name: "s", projected: { sources: [{ secret: { name: "api-key" } }] } }];
  const body = deployment("hello", {}, { env: ENV, volumeMounts: [{ name: "s", mountPath: "/var/openfaas/secrets" }] });
  const { template } = body.spec;
  await client.create(DEPLOYMENTS, {
    ...body,
    spec: { ...body.spec, template: { ...template, spec: { ...template.spec, volumes } } },
  });
  await eventually("an event says so", async () =>
    (await client.get(`${CORE}/events`)).items.some((e: Answer) => e.reason === "FailedMount"),
  );
  expect(stateOf(await onlyPod()).waiting.reason).toBe("ContainerCreating");
  await client.create(SECRETS, { metadata: { name: "api-key" }, stringData: { "api-key": "one" } });
  const pod = await onlyPod((each) => isReady(each));
  await eventually("it is read", async () => (await call(pod, "/secret")) === "one");
  await client.patch(`${SECRETS}/api-key`, { stringData: { "api-key": "two" } });
  await eventually("it is read anew", async () => (await call(pod, "/secret")) === "two");
});

test("a pod that ends gracefully finishes its calls and is shown as terminating meanwhile", async () => {
  await client.create(SERVICES, service("hello"));
  await client.create(DEPLOYMENTS, deployment("hello", {}, { env: ENV, readinessProbe: PROBE }));
  const pod = await onlyPod(isReady);
  const answer = call(pod, "/slow");
  // Nothing tells a caller that its request has been taken up, but the connection tells that it was sent.
  await eventually("the call has arrived", async () =>
    (await (await fetch(`http://${pod.status.podIP}:8081/metrics`)).text()).includes("http_requests_in_flight 1"),
  );
  await client.patch(`${DEPLOYMENTS}/hello/scale`, { spec: { replicas: 0 } });
  const slice = await eventually("the endpoint is terminating", async () => {
    const { items } = await client.get(SLICES);
    return items[0].endpoints?.[0].conditions.terminating && items[0];
  });
  expect(slice.endpoints[0].conditions.ready).toBe(false);
  expect(await answer).toMatch(/^hello from/);
  await eventually("it is gone", async () => (await client.get(PODS)).items.length === 0);
  await expect(call(pod)).rejects.toThrow();
});

test("a container that crashes is started again, later each time, and its logs are kept apart", async () => {
  await client.create(DEPLOYMENTS, deployment("hello", {}, { env: ENV }));
  const pod = await onlyPod(isReady);
  await eventually("it answers", async () => await call(pod, "/first"));
  await call(pod, "/crash").catch(() => "");
  const again = await onlyPod((each) => isReady(each) && each.status.containerStatuses[0].restartCount === 1);
  expect(again.status.podIP).toBe(pod.status.podIP);
  expect(again.status.containerStatuses[0].lastState.terminated).toMatchObject({ exitCode: 3, reason: "Error" });
  await eventually("it answers again", async () => await call(pod, "/second"));
  const current = await client.get(`${PODS}/${pod.metadata.name}/log`);
  expect(current).toContain("called /second");
  expect(current).not.toContain("called /first");
  expect(await client.get(`${PODS}/${pod.metadata.name}/log?previous=true`)).toContain("called /first");
});

describe("what cannot start says why", () => {
  test("an unknown image, until it is there", async () => {
    await client.create(DEPLOYMENTS, deployment("hello", {}, { image: "fn:2", env: ENV }));
    await onlyPod((pod) => stateOf(pod).waiting?.reason === "ImagePullBackOff");
    await runtime.addImage("fn:2", {
      env: { mode: "inproc", inproc_handler: "./index.mjs" },
      files: { "index.mjs": HANDLER },
    });
    expect(isReady(await onlyPod(isReady))).toBe(true);
  });

  test("a program that ends at once", async () => {
    await client.create(DEPLOYMENTS, deployment("hello", {}, { image: "broken:1" }));
    const pod = await onlyPod((each) => stateOf(each).waiting?.reason === "CrashLoopBackOff");
    expect(pod.status.containerStatuses[0]).toMatchObject({ ready: false, lastState: { terminated: { exitCode: 1 } } });
    await onlyPod((each) => each.status.containerStatuses?.[0]?.restartCount > 1);
  });

  test("no node with room", async () => {
    kube.scheduler.suspend("1 Insufficient memory");
    await client.create(DEPLOYMENTS, deployment("hello", {}, { env: ENV }));
    const pod = await onlyPod((each) => each.status.conditions?.[0]?.reason === "Unschedulable");
    expect(pod.status).toMatchObject({
      phase: "Pending",
      conditions: [{ message: "0/1 nodes are available: 1 Insufficient memory." }],
    });
    kube.scheduler.suspend("");
    await onlyPod(isReady);
  });

  test("a variable from a secret that is missing", async () => {
    const env = [{ name: "x", valueFrom: { secretKeyRef: { name: "none", key: "k" } } }];
    await client.create(DEPLOYMENTS, deployment("hello", {}, { env }));
    const pod = await onlyPod((each) => stateOf(each).waiting?.reason === "CreateContainerConfigError");
    expect(stateOf(pod).waiting.message).toBe('secret "none" not found');
  });
});

test("a container that does not live is killed and started again", async () => {
  const livenessProbe = { exec: { command: ["test", "!", "-e", "/tmp/sick"] }, periodSeconds: 1, failureThreshold: 1 };
  await client.create(DEPLOYMENTS, deployment("hello", {}, { env: ENV, livenessProbe }));
  const pod = await onlyPod(isReady);
  await eventually("it falls ill", async () => (await call(pod, "/sick")) === "ill");
  await onlyPod((each) => each.status.containerStatuses[0].restartCount > 0);
});

test("a log is followed, limited and stamped", async () => {
  await client.create(DEPLOYMENTS, deployment("hello", {}, { env: ENV }));
  const pod = await onlyPod(isReady);
  const path = `${PODS}/${pod.metadata.name}/log`;
  await eventually("it answers", async () => await call(pod, "/one"));
  // A moment after the answer.
  await eventually("that is in the log", async () => String(await client.get(path)).includes("called /one"));
  const controller = new AbortController();
  const followed = await fetch(`${kube.url}${path}?follow=true&tailLines=1&timestamps=true`, {
    signal: controller.signal,
  });
  const reader = (followed.body as ReadableStream<Uint8Array>).getReader();
  let seen = "";
  const reading = (async () => {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read())
      seen += Buffer.from(chunk.value).toString();
  })();
  await call(pod, "/two");
  await eventually("it is in the log", () => seen.includes("called /two"));
  const first = seen.split("\n")[0] as string;
  expect(first).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z .*called \/one$/);
  const since = (seen.split("\n")[1] as string).split(" ")[0] as string;
  expect(await client.get(`${path}?sinceTime=${encodeURIComponent(since)}`)).toMatch(/^.*called \/two\n$/);
  await client.patch(`${DEPLOYMENTS}/hello/scale`, { spec: { replicas: 0 } });
  await reading; // the log ends with the container
});

test("a pod that is deleted without grace is killed at once", async () => {
  const env = [...ENV, { name: "healthcheck_interval", value: "20s" }];
  await client.create(DEPLOYMENTS, deployment("hello", {}, { env }));
  const pod = await onlyPod(isReady);
  await eventually("it answers", async () => await call(pod));
  await client.delete(`${PODS}/${pod.metadata.name}`, { gracePeriodSeconds: 0 });
  await expect(eventually("it does not answer", async () => !(await call(pod).catch(() => "")))).resolves.toBe(true);
  const other = await onlyPod((each) => each.metadata.uid !== pod.metadata.uid && isReady(each));
  expect(other.status.podIP).not.toBe(pod.status.podIP);
});

test("a process serves before the API shows its address, as on a real node", async () => {
  await kube.close();
  runtime = await ProcessRuntime.open();
  kube = await KubeServer.open({ runtime, timing: { sandboxMs: 50, reportMs: 3_000 } });
  client = new KubeClient(kube);
  const callers: string[] = [];
  const announced = createServer((req, res) => {
    callers.push(req.url as string);
    res.end();
  });
  await once(announced.listen(0, "127.0.0.1").unref(), "listening");
  const port = (announced.address() as AddressInfo).port;
  const source = `await fetch("http://127.0.0.1:${port}/" + process.env.bind_address); export default (req, res) => res.end();`;
  await runtime.addImage("fn:1", {
    env: { mode: "inproc", inproc_handler: "./index.mjs" },
    files: { "index.mjs": source },
  });
  await client.create(DEPLOYMENTS, deployment("hello"));
  const ip = await eventually("it announces itself", () => callers[0]?.slice(1));
  expect((await onlyPod()).status.podIP).toBeUndefined();
  await eventually("it answers", async () => (await fetch(`http://${ip}:8080/`)).ok);
  expect((await onlyPod()).status.podIP).toBeUndefined();
  expect((await onlyPod(isReady)).status.podIP).toBe(ip);
  announced.closeAllConnections();
  announced.close();
});

test("nothing but the startup probe runs until it succeeds", async () => {
  const exec = (...command: string[]) => ({ exec: { command }, periodSeconds: 1, failureThreshold: 30 });
  const probes = { startupProbe: exec("test", "-e", "/tmp/sick"), readinessProbe: PROBE };
  await client.create(DEPLOYMENTS, deployment("hello", {}, { env: ENV, ...probes }));
  const pod = await onlyPod((each) => stateOf(each).running !== undefined);
  expect(pod.status.containerStatuses[0]).toMatchObject({ started: false, ready: false });
  await eventually("it comes up", async () => (await call(pod, "/sick")) === "ill");
  expect((await onlyPod(isReady)).status.containerStatuses[0].started).toBe(true);
});
