import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "@jest/globals";
import type { KubernetesObject, Values } from "../../deploy/render/render-chart.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { find, render } from "./chart-support.ts";
import { type Container, Network, whyNoContainers } from "./container.ts";
import { layOutImage } from "./image.ts";
import { containerOf, podSpecOf, type Secrets } from "./pod.ts";

const why = unlessRequired(whyNoContainers());
const testContainers = testNeeding(why);

const STARTS_WITHIN_MS = 60_000;
const ENDS_WITHIN_MS = 20_000;

const SECRETS: Secrets = {
  "basic-auth": { "basic-auth-user": "admin", "basic-auth-password": "s3cret" },
  "nats-credentials": { "nats-user": "faaslane", "nats-password": "0n3-7w0" },
};

let image = "";
let folder = "";
let network: Network;

beforeAll(() => {
  image = layOutImage({ linked: false });
  chmodSync(image, 0o755);
});
afterAll(() => rmSync(image, { recursive: true, force: true }));

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "faaslane-pods-"));
  chmodSync(folder, 0o755);
  if (!why) network = await Network.open();
});
afterEach(async () => {
  await network?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Where Services lead when all pods have one address. */
function hostsOf(objects: readonly KubernetesObject[]): string {
  const services = objects.filter(({ kind }) => kind === "Service");
  const names = services.map(({ metadata: { name, namespace } }) => `${name}.${namespace}.svc.cluster.local`);
  return names.map((name) => `127.0.0.1 ${name}\n`).join("");
}

async function start(objects: readonly KubernetesObject[], kind: string, name: string): Promise<Container> {
  const workload = find(objects, kind, name);
  const own = join(folder, name);
  mkdirSync(own);
  const spec = containerOf(workload, { folder: own, image, secrets: SECRETS, hosts: hostsOf(objects) });
  const container = await network.start(spec);
  const [{ ports, livenessProbe, readinessProbe }] = podSpecOf(workload).containers;
  for (const { httpGet } of [readinessProbe, livenessProbe]) {
    const port = ports.find((one) => one.name === httpGet.port)?.containerPort;
    const url = `http://127.0.0.1:${port}${httpGet.path}`;
    const answered = eventually(
      `${name} answers its probe`,
      async () => (await network.ask(url))?.status === 200,
      STARTS_WITHIN_MS,
      50,
    );
    const ended = container.ended.then((code) => {
      throw new Error(`${name} ended with code ${code}: ${container.output}`);
    });
    ended.catch(() => {});
    await Promise.race([answered, ended]);
  }
  return container;
}

const authorization = `Basic ${Buffer.from("admin:s3cret").toString("base64")}`;

/** What a provider of the chart's tells a gateway of the chart's, and nobody else. */
async function expectPlatform(): Promise<void> {
  const info = "http://127.0.0.1:8080/system/info";
  const told = await eventually("the gateway reaches the provider", async () => {
    const answer = await network.ask(info, { headers: { authorization } });
    return answer?.status === 200 && answer;
  });
  expect(JSON.parse(told.text)).toMatchObject({ provider: { provider: "faaslane", orchestration: "kubernetes" } });
  expect((await network.ask(info))?.status).toBe(401);
  const announced = await network.ask("http://127.0.0.1:8084/announce", { method: "POST", body: "{}" });
  expect(announced).toEqual({ status: 401, text: "invalid token\n" });
}

async function expectEnd(containers: Readonly<Record<string, Container>>): Promise<void> {
  for (const container of Object.values(containers)) container.terminate();
  for (const [name, container] of Object.entries(containers)) {
    const late = new Promise((resolve) => setTimeout(resolve, ENDS_WITHIN_MS, "still runs").unref());
    const code = await Promise.race([container.ended, late]);
    expect({ name, code, output: code === 0 ? "" : container.output.slice(-2000) }).toEqual({
      name,
      code: 0,
      output: "",
    });
  }
}

testContainers.each<[what: string, values: Values]>([
  ["with the queue in the gateway", {}],
  ["without a disk", { queue: { persistence: { enabled: false } } }],
  ["without a queue, and without a password", { queue: { kind: "none" }, clusterRole: true }],
])(
  "gateway and provider start as their pods would have them: %s",
  async (_what, values) => {
    const { objects } = render(values);
    const gateway = await start(objects, "Deployment", "gateway");
    const provider = await start(objects, "Deployment", "gateway-provider");
    await expectPlatform();
    await expectEnd({ gateway, provider });
  },
  180_000,
);

testContainers(
  "all of it starts on NATS, which asks for a password",
  async () => {
    const { objects } = render({ queue: { kind: "jetstream" }, gateway: { replicas: 2 } });
    const nats = await start(objects, "StatefulSet", "nats");
    const gateway = await start(objects, "Deployment", "gateway");
    const worker = await start(objects, "Deployment", "queue-worker");
    const provider = await start(objects, "Deployment", "gateway-provider");
    await expectPlatform();

    const connections = await network.ask("http://127.0.0.1:8222/connz?auth=true");
    const { connections: known } = JSON.parse(connections?.text ?? "") as {
      connections: { authorized_user: string }[];
    };
    expect(known.length).toBeGreaterThanOrEqual(2);
    expect(new Set(known.map(({ authorized_user: user }) => user))).toEqual(new Set(["faaslane"]));
    expect(await helloNats('{"verbose":false}')).toMatch(/-ERR 'Authorization Violation'/);
    expect(await helloNats('{"user":"faaslane","pass":"wrong"}')).toMatch(/-ERR 'Authorization Violation'/);
    await expectEnd({ gateway, worker, provider });
    nats.terminate();
    await nats.ended;
  },
  240_000,
);

/** What NATS says to a client that introduces itself like that, until it hangs up. */
async function helloNats(options: string): Promise<string> {
  const code = `
    const socket = require("node:net").connect(4222, "127.0.0.1");
    socket.pipe(process.stdout);
    socket.on("error", () => {}).write("CONNECT ${options.replaceAll('"', '\\"')}\\r\\nPING\\r\\n");`;
  return await network.run(process.execPath, ["-e", code]);
}
