import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { decodeListedRollout, decodeListedVersions } from "../../contract/versions/requests.ts";
import { RolloutProvider } from "../gateway/rollouts/rollout-provider.ts";
import { rolloutOf } from "../gateway/rollouts/rollout-world.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { GatewayWithWorkers } from "../support/gateway-workers.ts";
import { jsonBody } from "../support/json-body.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { SteadyLoad } from "../support/steady-load.ts";

const PATIENCE_MS = 90_000;

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
}, 60_000);

function begin(settings: Readonly<Record<string, string>>) {
  const now = Date.now();
  return rolloutOf(settings, { startedAt: now, since: now });
}

/** Calls one after the other, each over a connection of its own, so that all workers have some. @returns ends that */
function keepCalling(call: () => Promise<Response>): () => Promise<void> {
  let going = true;
  const callers = Array.from({ length: 4 }, async () => {
    while (going) await (await call()).text();
  });
  return async () => {
    going = false;
    await Promise.all(callers);
  };
}

test("calls of all workers of a gateway are added up: a version that fails every fifth call is given up", async () => {
  const gateway = await GatewayWithWorkers.open({ queue: "none", gateway_workers: "3" });
  closing.push(() => gateway.close());
  let calls = 0;
  const v1 = await gateway.replica((_req, res) => res.end("fine"));
  const v2 = await gateway.replica((_req, res) => {
    res.statusCode = ++calls % 5 === 0 ? 500 : 200;
    res.end();
  });
  const settings = { steps: "50@10m,100", gate: "errors<1%", "min-requests": "100" };
  const provider = new RolloutProvider(gateway.provider, begin(settings), { v1, v2 });
  await eventually("it begins", () => provider.course.includes("step 0"), PATIENCE_MS);
  const stop = keepCalling(() => gateway.call("/function/shop"));
  closing.push(stop);
  await eventually("it is given up", () => provider.course.at(-1) === "aborted 0", PATIENCE_MS);
  const { rollout } = provider.listed;
  expect(rollout?.reason).toMatch(/^errors are /);
  const { candidate, stable } = rollout?.measurements.at(-1) ?? {};
  expect(candidate?.calls).toBeGreaterThanOrEqual(100);
  expect((candidate?.errors ?? 0) / (candidate?.calls ?? 1)).toBeCloseTo(0.2, 1);
  expect(stable).toMatchObject({ errors: 0 });
  expect(stable?.p95).toBeGreaterThan(0);
  await stop();
}, 200_000);

describeWithNats("two gateways on one NATS", () => {
  async function open() {
    const provider = await FakeProvider.open();
    closing.push(() => provider.close());
    return { provider, gateways: await openGateways(provider.url.href) };
  }

  async function openGateways(providerUrl: string): Promise<readonly ServerProcess[]> {
    const nats = await NatsServer.start();
    closing.push(() => nats.remove());
    const env = {
      functions_provider_url: providerUrl,
      nats_url: `nats://${nats.address}`,
      autoscaling_lease: "2s",
      queue: "none",
    };
    const gateways = await Promise.all([0, 1].map(() => startServerProcess("gateway/process/main.ts", env)));
    for (const gateway of gateways) closing.push(() => gateway.kill());
    return gateways;
  }

  async function leaderOf(gateways: readonly ServerProcess[]): Promise<ServerProcess> {
    return await eventually(
      "one leads",
      async () => {
        for (const gateway of gateways) {
          const answer = await fetch(`${gateway.url}/system/scaling/shop`);
          if (answer.ok && ((await answer.json()) as { leading: boolean }).leading) return gateway;
        }
        return undefined;
      },
      PATIENCE_MS,
      50,
    );
  }

  test("the one that leads is killed in the third step: the other goes on there, and nothing is done twice", async () => {
    const { provider, gateways } = await open();
    const steps = "1@1s,5@1s,25@20s,50@1s,100";
    const rollouts = new RolloutProvider(provider, begin({ steps, "no-data": "advance" }));
    await eventually("its third step", () => rollouts.course.includes("step 2"), PATIENCE_MS, 20);
    const since = rollouts.listed.rollout?.since as number;
    const leader = await leaderOf(gateways);
    await eventually("much of its time has passed", () => Date.now() - since > 8_000, PATIENCE_MS, 20);
    await leader.kill();
    const other = gateways.find((gateway) => gateway !== leader) as ServerProcess;
    expect(await leaderOf([other])).toBe(other);
    const takenOver = Date.now();
    expect(rollouts.course.at(-1)).toBe("step 2");
    await eventually("its end", () => rollouts.course.at(-1) === "done 4", PATIENCE_MS, 20);
    const course = rollouts.course.filter((each, at, all) => each !== all[at - 1]);
    expect(course).toEqual(["step 0", "step 1", "step 2", "step 3", "done 4"]);
    const lines = () => other.output.split("\n").filter((line) => line.includes('"msg":"rollout"'));
    await eventually("it has said so", () => lines().length === 2, PATIENCE_MS);
    const [first] = lines().map((line) => JSON.parse(line) as { step: number; time: string });
    expect(first?.step).toBe(3);
    // The time before the change counts: had the step begun anew, it would have ended later.
    expect(Date.parse(first?.time ?? "") - takenOver).toBeLessThan(20_000);
  }, 200_000);

  test("with a provider and calls: the one that leads is killed in the third step, and no call of the other fails", async () => {
    const folder = await temporaryFolder();
    closing.push(() => folder.remove());
    const provider = await startServerProcess("provider/main.ts", { data_dir: folder.path });
    closing.push(() => provider.stop());
    const control = (path: string, init?: RequestInit) => fetch(provider.url + path, init);
    await buildImage({ control }, "shop:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
      "index.mjs": 'export default (_req, res) => res.end("done");',
    });
    const annotations = {
      "com.faaslane.rollout": "canary",
      "com.faaslane.rollout.steps": "1@2s,5@2s,25@15s,100",
      "com.faaslane.rollout.gate": "errors<5%",
      "com.faaslane.rollout.min-requests": "10",
    };
    const deploy = async (method: string, release: string) => {
      const body = jsonBody({ service: "shop", image: "shop:1", annotations, envVars: { RELEASE: release } });
      expect((await control("/system/functions", { method, ...body })).status).toBe(202);
    };
    await deploy("POST", "1");
    const gateways = await openGateways(provider.url);
    for (const { url } of gateways) {
      const isThere = async () => (await fetch(`${url}/function/shop`)).status === 200;
      await eventually("it answers", isThere, PATIENCE_MS, 50);
    }
    const leader = await leaderOf(gateways);
    const other = gateways.find((gateway) => gateway !== leader) as ServerProcess;
    const calls = new SteadyLoad(`${other.url}/function/shop`, 100);
    closing.push(() => calls.stop());
    await deploy("PUT", "2");
    const rollout = async () =>
      decodeListedRollout(await (await control("/system/function/shop/rollout")).json()).rollout;
    const stands = async () => {
      const { phase, step } = (await rollout()) ?? {};
      return `${phase} ${step}`;
    };
    await eventually("its third step", async () => (await stands()) === "step 2", PATIENCE_MS, 20);
    const before = await rollout();
    await leader.kill();
    await leaderOf([other]);
    expect(await rollout()).toMatchObject({ id: before?.id, phase: "step", step: 2, since: before?.since });
    await eventually("its end", async () => (await stands()) === "done 3", PATIENCE_MS, 50);
    const reached = calls.calls.length;
    await eventually("calls go on", () => calls.calls.length > reached + 300, PATIENCE_MS);
    await calls.stop();
    expect(calls.failures).toEqual([]);
    expect([...new Set(calls.calls.slice(reached + 200).map(({ version }) => version))]).toEqual(["v2"]);
    const { history } = decodeListedVersions(await (await control("/system/function/shop/versions")).json());
    expect(history.map(({ traffic }) => traffic).slice(-4)).toEqual([
      "v1=99,v2=1",
      "v1=95,v2=5",
      "v1=75,v2=25",
      "v2=100",
    ]);
  }, 240_000);

  test("a version of which each sees too little to judge it is given up by what both have seen", async () => {
    const { provider, gateways } = await open();
    const serve = async (status: number) => {
      const server = createServer((_req, res) => res.writeHead(status).end());
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      closing.push(() => {
        server.closeAllConnections();
        server.close();
      });
      return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    };
    const addresses = { v1: await serve(200), v2: await serve(500) };
    const settings = { steps: "50@10m,100", gate: "errors<1%", "min-requests": "24" };
    const rollouts = new RolloutProvider(provider, begin(settings), addresses);
    await eventually("it begins", () => rollouts.course.includes("step 0"), PATIENCE_MS, 20);
    // Pinned, so that it is known how many calls each has: 12 and 12 of 24.
    for (const gateway of gateways) {
      const metrics = async () => await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
      await eventually("it counts", async () => (await metrics()).includes('phase="step"} 1'), PATIENCE_MS);
      for (let call = 0; call < 12; call++) {
        expect((await fetch(`${gateway.url}/function/shop@v2`)).status).toBe(500);
      }
    }
    await eventually("it is given up", () => rollouts.course.at(-1) === "aborted 0", PATIENCE_MS, 20);
    expect(rollouts.listed.rollout?.reason).toMatch(/^errors are 100% of 24 calls/);
  }, 200_000);
});
