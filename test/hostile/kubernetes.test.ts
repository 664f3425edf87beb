import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { renderChart } from "../../deploy/render/render-chart.ts";
import { CHART, withoutRandom } from "../deploy/chart-support.ts";
import { type Answer, KubeClient } from "../kube/client.ts";
import { type AnnouncedProvider, openProvider } from "../provider/kubernetes/announce-support.ts";
import { NAMESPACE } from "../provider/kubernetes/support.ts";
import { eventually } from "../support/eventually.ts";
import { KubeServer } from "../support/kube/server.ts";

/** The platform is installed where its functions are, which is the worst that can be done. */
const HOME = NAMESPACE;
const CORE = `/api/v1/namespaces/${HOME}`;
const SLICES = `/apis/discovery.k8s.io/v1/namespaces/${HOME}/endpointslices`;
const DEPLOYMENTS = `/apis/apps/v1/namespaces/${HOME}/deployments`;
const FUNCTIONS = `/apis/openfaas.com/v1/namespaces/${HOME}/functions`;

let kube: KubeServer;
let client: KubeClient;
let provider: AnnouncedProvider;

beforeAll(async () => {
  kube = await KubeServer.open();
  client = new KubeClient(kube);
  provider = await openProvider(kube, { operator: { leaseDurationMs: 1_000 } });
  const values = withoutRandom({ queue: { kind: "jetstream" }, functionNamespace: HOME });
  const { objects } = renderChart(CHART, values, { name: "faaslane", namespace: HOME });
  for (const object of objects) if (object.kind === "Service") await client.create(`${CORE}/services`, object);
  const secret = (name: string, more: object, labels = {}) =>
    client.create(`${CORE}/secrets`, { metadata: { name, labels }, ...more });
  await secret("tls", { type: "kubernetes.io/tls", data: { "tls.crt": "", "tls.key": "" } });
  await secret("plain", { type: "Opaque", data: { a: "Yg==" } });
  await secret("basic-auth", { type: "Opaque" }, { "app.kubernetes.io/managed-by": "Helm" });
  await secret("registry", { type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": "e30=" } });
  await secret("api-key", { data: { "api-key": "Yg==" } }, { "app.kubernetes.io/managed-by": "openfaas" });
});

afterAll(async () => {
  await provider.close();
  await kube.close();
});

/** A control request. @returns status and text */
async function control(method: string, path: string, body?: object) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(provider.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return { status: answer.status, text: (await answer.text()).trim() };
}

const deploy = (service: string, more: object = {}) =>
  control("POST", "/system/functions", { service, image: "fn:1", namespace: HOME, ...more });

const refusal = (text: string) => ({ status: 400, text: expect.stringContaining(text) });

test.each([
  ["the platform's mark", "com.faaslane.component", "gateway"],
  ["another function's name", "faas_function", "other"],
  ["a pod's number in a set", "statefulset.kubernetes.io/pod-name", "nats-0"],
  ["a controller's mark of its pods", "pod-template-hash", "abc"],
  ["a label of the cluster", "node.k8s.io/x", "y"],
])("a label that would pass a function for somebody else: %s", async (_what, key, value) => {
  expect(await deploy("forger", { labels: { [key]: value } })).toEqual(refusal(`labels.${key}: is `));
  expect((await client.send("GET", `${DEPLOYMENTS}/forger`)).status).toBe(404);
});

test("a label that people select by, to become an endpoint of the platform", async () => {
  for (const app of ["gateway", "gateway-provider", "nats", "queue-worker", "event-worker"]) {
    expect((await deploy(`fn-${app}`, { labels: { app } })).status).toBe(202);
  }
  const endpoints = async (service: string) => {
    const { items } = await client.get(`${SLICES}?labelSelector=kubernetes.io%2Fservice-name%3D${service}`);
    return (items as Answer[]).flatMap((slice) => slice.endpoints ?? []);
  };
  await eventually("functions are in their own Services", async () => (await endpoints("fn-nats")).length === 1);
  for (const service of [
    "gateway",
    "gateway-provider",
    "gateway-provider-announce",
    "nats",
    "queue-worker",
    "event-worker",
  ]) {
    expect(await endpoints(service)).toEqual([]);
  }
});

test("the name of one of the platform's Services", async () => {
  for (const name of ["gateway", "nats"]) {
    expect(await deploy(name)).toEqual({ status: 409, text: `service ${name} exists and is not a function's` });
    expect((await client.get(`${CORE}/services/${name}`)).spec.selector).toEqual({ "com.faaslane.component": name });
  }
});

test.each([
  ["takes a profile away", "container.apparmor.security.beta.kubernetes.io/fn", "unconfined"],
  ["takes a filter away", "seccomp.security.alpha.kubernetes.io/pod", "unconfined"],
  ["is written in capitals", "Container.AppArmor.Security.Beta.Kubernetes.io/fn", "unconfined"],
  ["makes a name in DNS", "external-dns.alpha.kubernetes.io/hostname", "gateway.example.com"],
])("an annotation that does more than to note something: %s", async (_what, key, value) => {
  const refused = refusal(`annotations.${key}: is for the cluster's administrators to set`);
  expect(await deploy("loose", { annotations: { [key]: value } })).toEqual(refused);
});

test("the account of the provider", async () => {
  const annotations = { "com.openfaas.serviceaccount": "faaslane-provider" };
  expect(await deploy("deputy", { annotations })).toEqual(refusal("is the platform's own"));
});

test.each([
  ["of another type", "tls"],
  ["without a mark", "plain"],
  ["of the platform", "basic-auth"],
])("a secret that the API does not show: %s", async (_what, name) => {
  const missing = await deploy("thief", { secrets: ["no-such-secret"] });
  const hidden = await deploy("thief", { secrets: [name] });
  expect(missing.text).toBe('unable to fetch secrets: secrets "no-such-secret" not found');
  expect(hidden).toEqual({ status: 400, text: missing.text.replace("no-such-secret", name) });
  expect((await client.send("GET", `${DEPLOYMENTS}/thief`)).status).toBe(404);
});

test("a secret that the API does not show, in an update", async () => {
  expect((await deploy("insider", { secrets: ["api-key", "registry"] })).status).toBe(202);
  const update = await control("PUT", "/system/functions", { service: "insider", image: "fn:1", secrets: ["plain"] });
  expect(update).toEqual(refusal('secrets "plain" not found'));
  const { spec } = (await client.get(`${DEPLOYMENTS}/insider`)).spec.template;
  expect(spec.volumes.map(({ projected }: Answer) => projected.sources)).toEqual([[{ secret: { name: "api-key" } }]]);
  // What is for pulling images is never a file.
  expect(spec.imagePullSecrets).toEqual([{ name: "registry" }]);
});

test("a secret that the API does not show, in a Function object", async () => {
  const spec = { name: "smuggler", image: "fn:1", secrets: ["tls"] };
  const object = { apiVersion: "openfaas.com/v1", kind: "Function", metadata: { name: "smuggler" }, spec };
  await client.create(FUNCTIONS, object);
  const stalled = await eventually("it is refused", async () => {
    const { status } = await client.get(`${FUNCTIONS}/smuggler`);
    return status?.conditions?.find(({ type, status: is }: Answer) => type === "Stalled" && is === "True");
  });
  expect(stalled.message).toContain('secrets "tls" not found');
  expect((await client.send("GET", `${DEPLOYMENTS}/smuggler`)).status).toBe(404);
});

test.each([
  ["the level of admission", "labels", "pod-security.kubernetes.io/enforce", "privileged"],
  ["a name of another namespace", "labels", "kubernetes.io/metadata.name", "kube-system"],
  ["a webhook's exception", "labels", "admission.gatekeeper.sh/ignore", "yes"],
  ["a key of the cluster", "labels", "node.k8s.io/x", "y"],
  ["where its pods go", "annotations", "scheduler.alpha.kubernetes.io/node-selector", "pool=control"],
  ["which roles of a cloud it may take", "annotations", "iam.amazonaws.com/permitted", "all"],
  ["whose project it is", "annotations", "field.cattle.io/projectId", "p-1"],
])("a namespace that is to be given %s", async (_what, map, key, value) => {
  const refused = refusal(`namespace: ${map}: "${key}" is for the cluster's administrators to set`);
  const mark = { openfaas: "1" };
  const wanted = { name: "climber", annotations: mark, [map]: { ...mark, [key]: value } };
  expect(await control("POST", "/system/namespace/", wanted)).toEqual(refused);
  expect((await client.send("GET", "/api/v1/namespaces/climber")).status).toBe(404);
  expect(await control("PUT", `/system/namespace/${HOME}`, { ...wanted, name: HOME })).toEqual(refused);
});

test("an update of a namespace that leaves out what administrators have set", async () => {
  const path = "/api/v1/namespaces/guarded";
  const name = "guarded";
  const labels = { openfaas: "1", team: "a" };
  expect((await control("POST", "/system/namespace/", { name, labels })).status).toBe(201);
  const theirs = { "pod-security.kubernetes.io/enforce": "restricted", "cost-centre": "7" };
  await client.apply(path, { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: theirs } }, "admin");
  const put = (more: Record<string, string>) =>
    control("PUT", `/system/namespace/${name}`, { name, labels: { openfaas: "1", ...more } });

  expect((await put({ stage: "test" })).status).toBe(202);
  const { labels: left } = (await client.get(path)).metadata;
  expect(left).toEqual({ "kubernetes.io/metadata.name": name, openfaas: "1", stage: "test", ...theirs });
  // Who reads it and writes it back changes nothing of that, either.
  const shown = JSON.parse((await control("GET", `/system/namespace/${name}`)).text);
  expect((await control("PUT", `/system/namespace/${name}`, shown)).status).toBe(202);
  expect((await client.get(path)).metadata.labels).toEqual(left);
  for (const value of ["privileged", ""]) {
    expect((await put({ "pod-security.kubernetes.io/enforce": value })).status).toBe(400);
  }
});

test("any other path or method at the port where functions announce themselves", async () => {
  const paths = ["/", "/healthz", "/metrics", "/system/functions", "/system/info", "/system/secrets", "/function/fn"];
  for (const path of [...paths, "/announce/", "/announce/../system/info", "//system/info", "/ANNOUNCE"]) {
    const answer = await raw(provider.announceUrl, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  }
  for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
    expect((await fetch(`${provider.announceUrl}/announce`, { method })).status).toBe(405);
  }
  expect((await fetch(`${provider.url}/announce`, { method: "POST" })).status).toBe(404);
});

test("a head without end at the port where functions announce themselves", async () => {
  const head = `POST /announce HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(64 * 1024)}\r\n\r\n`;
  expect(await raw(provider.announceUrl, head)).toMatch(/^HTTP\/1\.1 431 /);
});

/** Sends bytes as they are. @returns what comes back until the other side closes */
async function raw(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.setEncoding("latin1").write(bytes);
  try {
    for await (const chunk of socket) answer += chunk;
  } catch {
    // What was not read of the request may make the other side reset the connection.
  }
  return answer;
}
