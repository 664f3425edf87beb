import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { Callers } from "../support/callers.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { TcpRelay } from "../support/tcp-relay.ts";

/** Our own provider goes away and comes back while its functions are called. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let provider: ServerProcess;
let port: number;
let relay: TcpRelay;
let relayPort: number;
let gateway: ServerProcess;
let callers: Callers;
const CALLERS = 8;
const MOST_REPLICAS = 3;

const startProvider = () =>
  startServerProcess("provider/main.ts", {
    data_dir: join(folder.path, "provider"),
    port: String(port),
    sandbox: "off",
  });

beforeEach(async () => {
  folder = await temporaryFolder();
  port = await freePort();
  provider = await startProvider();
  relay = await TcpRelay.open(`127.0.0.1:${port}`);
  relayPort = relay.port;
  gateway = await startServerProcess("gateway/process/main.ts", {
    data_dir: join(folder.path, "gateway"),
    functions_provider_url: `http://${relay.address}`,
    // How long a request to the provider may take.
    upstream_timeout: "3s",
  });
  const { url } = gateway;
  await buildImage({ control: (path, init) => fetch(url + path, init) }, "pid:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": "export default (req, res) => setTimeout(() => res.end(String(process.pid)), 5);",
  });
  expect(await deploy("f")).toMatchObject({ status: 202 });
  await whenAnswered("f");
  callers = new Callers(`${gateway.url}/function/f`);
  callers.set(CALLERS);
  await carry(100);
}, 60_000);

afterEach(async () => {
  await callers?.stop();
  await gateway?.stop();
  await relay?.close().catch(() => {}); // it is closed already
  await provider?.stop();
  await folder?.remove();
}, 60_000);

const carry = async (calls: number) => {
  const until = callers.done + calls;
  await eventually(`${calls} more calls are done`, () => callers.done >= until, 60_000, 20);
};

const control = async (path: string, init: RequestInit = {}) => {
  const answer = await fetch(gateway.url + path, { ...init, headers: { "content-type": "application/json" } });
  return { status: answer.status, code: answer.headers.get("x-faaslane-error"), text: await answer.text() };
};
const deploy = (service: string, method = "POST") =>
  control("/system/functions", {
    method,
    body: JSON.stringify({ service, image: "pid:1", labels: { "com.openfaas.scale.min": "2" } }),
  });
const whenAnswered = (name: string) =>
  eventually(
    `${name} answers`,
    async () => {
      const answer = await fetch(`${gateway.url}/function/${name}`);
      await answer.text();
      return answer.status === 200;
    },
    30_000,
    50,
  );

test.each<[how: string, leave: () => Promise<void>, comeBack: () => Promise<void>]>([
  [
    "cannot be reached",
    () => relay.close(),
    async () => {
      relay = await TcpRelay.open(`127.0.0.1:${port}`, relayPort);
    },
  ],
  ["is reached, but nothing comes back", async () => relay.block(), async () => relay.unblock()],
  [
    "is stopped",
    async () => void process.kill(provider.pid, "SIGSTOP"),
    async () => void process.kill(provider.pid, "SIGCONT"),
  ],
])(
  "while the provider %s no call fails, orders do and say why, and then all is well",
  async (_how, leave, comeBack) => {
    await leave();
    for (const order of [
      deploy("g"),
      deploy("f", "PUT"),
      control("/system/scale-function/f", { method: "POST", body: '{"serviceName":"f","replicas":3}' }),
      control("/system/functions", { method: "DELETE", body: '{"functionName":"nobody"}' }),
    ]) {
      expect(await order).toEqual({
        status: 502,
        code: "provider_unreachable",
        text: expect.stringMatching(/provider/),
      });
    }
    await carry(300);
    await comeBack();
    await eventually("orders are taken again", async () => (await deploy("h")).status === 202, 30_000, 100);
    await whenAnswered("h");
    await carry(100);
    await callers.stop();
    expect(callers.failures).toEqual([]);
  },
  120_000,
);

test("what has changed while the gateway could not see it, it sees when it can", async () => {
  await relay.close();
  const direct = `http://127.0.0.1:${port}`;
  const headers = { "content-type": "application/json" };
  const order = (method: string, path: string, body: object) =>
    fetch(direct + path, { method, headers, body: JSON.stringify(body) }).then(({ status }) => status);
  expect(await order("POST", "/system/functions", { service: "new", image: "pid:1" })).toBe(202);
  expect(await order("POST", "/system/scale-function/f", { serviceName: "f", replicas: 3 })).toBe(202);
  await carry(100);
  relay = await TcpRelay.open(`127.0.0.1:${port}`, relayPort);
  await whenAnswered("new");
  await carry(100);
  await callers.stop();
  expect(callers.failures).toEqual([]);
}, 120_000);

test.each<NodeJS.Signals>(["SIGKILL", "SIGTERM"])(
  "a provider that gets %s takes its replicas along; calls wait until it has new ones",
  async (signal) => {
    process.kill(provider.pid, signal);
    await provider.stop();
    // Those under way are cut by SIGKILL only; a caller that goes on to a replica that dies a moment later, once more.
    const cut = signal === "SIGKILL" ? CALLERS * MOST_REPLICAS : 0;
    const started = startProvider();
    provider = await started;
    await carry(200);
    await callers.stop();
    expect(callers.failures.length).toBeLessThanOrEqual(cut);
  },
  120_000,
);
