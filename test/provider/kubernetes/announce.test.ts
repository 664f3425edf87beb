import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { objectName } from "../../../provider/backends/kubernetes/resources/version-unit.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { LoopbackSubnet } from "../../support/kube/kubelet/loopback.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { type AnnouncedProvider, announce, openProvider } from "./announce-support.ts";
import { NAMESPACE } from "./support.ts";

const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;

let subnet: LoopbackSubnet;
let kube: KubeServer;
let client: KubeClient;
let provider: AnnouncedProvider;
const opened: (() => unknown)[] = [];

beforeEach(async () => {
  subnet = await LoopbackSubnet.open();
  // With nobody who runs them pods are there, and have no address but what the test says.
  kube = await KubeServer.open({ without: ["kubelet"] });
  client = new KubeClient(kube);
  provider = await openProvider(kube);
});

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) close();
  await provider.close();
  await kube.close();
  await subnet.close();
});

/** Something that answers like a watchdog, on an address of its own. */
async function watchdog(): Promise<string> {
  const ip = subnet.take();
  const server = createServer((req, res) => {
    if (req.url === "/_/health") res.writeHead(200, { "X-Faaslane-Ready-Path": "/_/ready" }).end();
    else res.writeHead(req.url === "/_/ready" ? 200 : 404).end();
  });
  await once(server.listen(8080, ip), "listening");
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return ip;
}

async function deploy(name: string): Promise<{ readonly token: string; readonly pod: string }> {
  await provider.backend.functions.create({ service: name, image: "fn:1", namespace: NAMESPACE });
  const pod = await eventually(`${name} has a pod`, async () => {
    const { items } = await client.get(`${PODS}?labelSelector=faas_function%3D${name}`);
    return (items as Answer[])[0];
  });
  return { token: await tokenOf(name), pod: pod.metadata.name };
}

async function environmentOf(name: string): Promise<Record<string, string>> {
  const { spec } = await client.get(`${DEPLOYMENTS}/${name}`);
  const { env } = spec.template.spec.containers[0];
  return Object.fromEntries(env.map((one: Answer) => [one.name, one.value]));
}
const tokenOf = async (name: string) => (await environmentOf(name)).announce_token as string;

const says = (name: string, instance: string) => ({
  name,
  namespace: NAMESPACE,
  instance,
  uptimeMs: 40,
  listeningMs: 30,
});

describe("a pod that announces itself", () => {
  test("is offered at the address it calls from, whatever it says of itself, before the API shows one", async () => {
    const { token, pod } = await deploy("fn");
    const ip = await watchdog();
    const headers = { "x-forwarded-for": "10.1.1.1", "x-real-ip": "10.1.1.1" };
    const body = { ...says("fn", pod), address: "10.1.1.1:80", port: 80 };
    expect(await announce(provider.announceUrl, { body, token, from: ip, headers })).toEqual({ status: 202, text: "" });
    const [endpoint] = await eventually("it is offered", () => {
      const endpoints = provider.endpoints("fn");
      return endpoints[0]?.state === "ready" && endpoints;
    });
    expect(endpoint).toEqual({
      address: `${ip}:8080`,
      instance: pod,
      state: "ready",
      startup: {
        scheduled: expect.any(Number),
        started: expect.any(Number),
        listening: expect.any(Number),
        announced: expect.any(Number),
        offered: expect.any(Number),
      },
    });
    expect((await client.get(`${PODS}/${pod}`)).status.podIP).toBeUndefined();
    expect(await provider.backend.functions.get({ name: "fn", namespace: NAMESPACE })).toMatchObject({
      availableReplicas: 1,
    });
  });

  test("of a version beside the function is offered as that version's, by a token that is its own", async () => {
    const main = await deploy("fn");
    await provider.backend.functions.create({ service: "fn@v2", image: "fn:2", namespace: NAMESPACE });
    const unit = objectName("fn@v2");
    const pod = await eventually("it has a pod", async () => {
      const { items } = await client.get(`${PODS}?labelSelector=faas_function%3D${unit}`);
      return (items as Answer[])[0]?.metadata.name as string | undefined;
    });
    const token = await tokenOf(unit);
    expect(token).not.toBe(main.token);
    const ip = await watchdog();
    // Its watchdog knows the function's name alone. Another's token gets it nowhere.
    expect((await announce(provider.announceUrl, { body: says("fn", pod), token: main.token, from: ip })).status).toBe(
      202,
    );
    expect((await announce(provider.announceUrl, { body: says("fn", pod), token, from: ip })).status).toBe(202);
    await eventually("it is offered", () => provider.endpoints("fn@v2")[0]?.state === "ready");
    expect(provider.endpoints("fn@v2")).toMatchObject([{ address: `${ip}:8080`, instance: pod }]);
    expect(provider.endpoints("fn").filter(({ state }) => state === "ready")).toEqual([]);
  });

  test("is not offered while nobody answers where it called from", async () => {
    const { token, pod } = await deploy("fn");
    const ip = subnet.take();
    expect((await announce(provider.announceUrl, { body: says("fn", pod), token, from: ip })).status).toBe(202);
    const other = await watchdog();
    await announce(provider.announceUrl, { body: says("fn", pod), token, from: other });
    await eventually("one is", () => provider.endpoints("fn")[0]?.state === "ready");
    expect([...provider.offered]).toEqual([`${other}:8080`]);
  });

  test("is remembered for a while when its pod is not known yet", async () => {
    const { token } = await deploy("fn");
    const ip = await watchdog();
    expect((await announce(provider.announceUrl, { body: says("fn", "fn-late"), token, from: ip })).status).toBe(202);
    await client.create(PODS, {
      metadata: { name: "fn-late", labels: { faas_function: "fn" } },
      spec: { containers: [{ name: "fn", image: "fn:1" }] },
    });
    await eventually("it is offered", () =>
      provider.endpoints("fn").some(({ instance, state }) => instance === "fn-late" && state === "ready"),
    );
  });

  test("is where the API says, as soon as that differs, and gone when the pod ends", async () => {
    const { token, pod } = await deploy("fn");
    const ip = await watchdog();
    await announce(provider.announceUrl, { body: says("fn", pod), token, from: ip });
    await eventually("it is offered", () => provider.endpoints("fn")[0]?.state === "ready");
    const real = await watchdog();
    await client.patch(`${PODS}/${pod}/status`, { status: { podIP: real, podIPs: [{ ip: real }] } });
    await eventually("the other address is", () => {
      const [endpoint] = provider.endpoints("fn");
      return endpoint?.address === `${real}:8080` && endpoint.state === "ready";
    });
    // What it says now has been overtaken.
    expect((await announce(provider.announceUrl, { body: says("fn", pod), token, from: ip })).status).toBe(202);
    expect(provider.endpoints("fn").map(({ address }) => address)).toEqual([`${real}:8080`]);
    await client.patch(`${PODS}/${pod}/status`, { status: { phase: "Failed" } });
    await eventually("it is gone", () => provider.endpoints("fn").every(({ instance }) => instance !== pod));
  });
});

describe("nobody else is heard", () => {
  test("without the function's own token", async () => {
    const [fn, other] = [await deploy("fn"), await deploy("other")];
    expect(fn.token).toMatch(/^[\w-]{32}$/);
    expect(other.token).not.toBe(fn.token);
    const from = await watchdog();
    const refused = { status: 401, text: "invalid token" };
    const body = says("fn", fn.pod);
    for (const token of [undefined, other.token, fn.token.toLowerCase(), `${fn.token}x`, "x"]) {
      expect(await announce(provider.announceUrl, { body, from, ...(token !== undefined && { token }) })).toEqual(
        refused,
      );
    }
    expect(await announce(provider.announceUrl, { body: says("nothing", "x"), token: fn.token })).toEqual(refused);
    expect(await announce(provider.announceUrl, { body: { ...body, namespace: "x" }, token: fn.token })).toEqual(
      refused,
    );
    expect(provider.endpoints("fn")).toEqual([]);
  });

  test("for a pod of another function", async () => {
    const [fn, other] = [await deploy("fn"), await deploy("other")];
    const from = await watchdog();
    const given = { body: says("other", fn.pod), token: other.token, from };
    // It is no secret that a token is right, but it opens nothing.
    expect((await announce(provider.announceUrl, given)).status).toBe(202);
    // One for a pod that comes to be another function's is forgotten too.
    await announce(provider.announceUrl, { ...given, body: says("other", "fn-late") });
    await client.create(PODS, {
      metadata: { name: "fn-late", labels: { faas_function: "fn" } },
      spec: { containers: [{ name: "fn", image: "fn:1" }] },
    });
    const own = await watchdog();
    await announce(provider.announceUrl, { body: says("fn", fn.pod), token: fn.token, from: own });
    await eventually("only its own is heard", () => provider.endpoints("fn").length > 0);
    expect(provider.endpoints("fn").map(({ address }) => address)).toEqual([`${own}:8080`]);
    expect(provider.endpoints("other")).toEqual([]);
  });

  test.each<[what: string, body: string | object, status: number, text: RegExp]>([
    ["nothing", "", 400, /^announcement: unexpected end/],
    ["no JSON", "{", 400, /^announcement: /],
    ["wrong fields", { name: "", namespace: 1 }, 400, /name: .*namespace: .*instance: .*uptimeMs: .*listeningMs: /],
    ["times that cannot be", { ...says("a", "b"), listeningMs: 50 }, 400, /listeningMs: must not be later/],
    ["too much", { ...says("a", "b"), more: "x".repeat(5_000) }, 413, /too large/],
  ])("that sends %s", async (_what, body, status, text) => {
    const answer = await announce(provider.announceUrl, { body, token: "x" });
    expect(answer.status).toBe(status);
    expect(answer.text).toMatch(text);
  });

  test("more than a few times a second", async () => {
    const from = subnet.take();
    const sent = Array.from({ length: 40 }, () => announce(provider.announceUrl, { body: "{}", token: "x", from }));
    const statuses = (await Promise.all(sent)).map(({ status }) => status);
    expect(statuses).toContain(429);
    expect(statuses).toContain(400);
    // Others are heard.
    expect((await announce(provider.announceUrl, { body: "{}", token: "x", from: subnet.take() })).status).toBe(400);
  });

  test("where nobody listens", async () => {
    const deaf = await openProvider(kube, { announces: false });
    opened.push(() => deaf.close());
    await deaf.backend.functions.create({ service: "quiet", image: "fn:1", namespace: NAMESPACE });
    expect(await environmentOf("quiet")).toEqual({ OPENFAAS_NAME: "quiet", OPENFAAS_NAMESPACE: NAMESPACE });
    expect((await announce(deaf.announceUrl, { body: says("quiet", "x"), token: "x" })).status).toBe(404);
  });
});

describe("a function's token", () => {
  test("stays over updates, so that nothing changes when nothing changed", async () => {
    const { token } = await deploy("fn");
    const { functions } = provider.backend;
    const before = await client.get(`${DEPLOYMENTS}/fn`);
    await functions.update({ service: "fn", image: "fn:1", namespace: NAMESPACE });
    expect((await client.get(`${DEPLOYMENTS}/fn`)).metadata.generation).toBe(before.metadata.generation);
    await functions.update({ service: "fn", image: "fn:2", namespace: NAMESPACE });
    expect(await environmentOf("fn")).toMatchObject({
      announce_token: token,
      announce_url: `${provider.announceUrl}/announce`,
    });
  });

  test("is known to every provider, and is another when the function is made anew", async () => {
    const { token, pod } = await deploy("fn");
    const second = await openProvider(kube);
    opened.push(() => second.close());
    const from = await watchdog();
    await eventually("the second one takes it", async () => {
      const { status } = await announce(second.announceUrl, { body: says("fn", pod), token, from });
      return status === 202;
    });
    await eventually("it offers the pod", () => second.endpoints("fn")[0]?.state === "ready");
    const ref = { name: "fn", namespace: NAMESPACE };
    await provider.backend.functions.remove(ref);
    expect((await announce(provider.announceUrl, { body: says("fn", pod), token, from })).status).toBe(401);
    await provider.backend.functions.create({ service: "fn", image: "fn:1", namespace: NAMESPACE });
    expect(await tokenOf("fn")).not.toBe(token);
    expect((await announce(provider.announceUrl, { body: says("fn", pod), token, from: subnet.take() })).status).toBe(
      401,
    );
  });
});
