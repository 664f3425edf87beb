import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readSamples } from "../compat/series.ts";
import { eventually } from "../support/eventually.ts";
import { GatewayWithWorkers } from "../support/gateway-workers.ts";

/** Versions behind gateways with several workers, which share what they count. */
let lab: GatewayWithWorkers;
let other: GatewayWithWorkers;
const addresses = new Map<string, string>();
/** Calls under way at each version, and the most that were at a time. */
const load = { now: { v1: 0, v2: 0 }, most: { v1: 0, v2: 0 } };

beforeAll(async () => {
  lab = await GatewayWithWorkers.open();
  other = await GatewayWithWorkers.open();
  for (const version of ["v1", "v2"] as const) {
    const address = await lab.replica(async (req, res) => {
      load.most[version] = Math.max(load.most[version], ++load.now[version]);
      if (req.url?.includes("slow")) await new Promise((resolve) => setTimeout(resolve, 100));
      load.now[version]--;
      res.end(version);
    });
    addresses.set(version, address);
  }
}, 60_000);

afterAll(async () => {
  await lab.close();
  await other.close();
});

const halves = ["v1", "v2"].map((version) => ({ version, share: 5_000 }));

function put(gateway: GatewayWithWorkers, name: string, more: object = {}): void {
  for (const version of ["v2", "v1"]) {
    const address = addresses.get(version) as string;
    const endpoints = [{ address, instance: address, state: "ready" as const }];
    const own = version === "v1" ? { name, traffic: halves } : { name: `${name}@v2` };
    gateway.provider.put({ ...own, version, endpoints, ...more });
  }
}

/** A call on a connection of its own, which any of the workers may get. */
async function call(gateway: GatewayWithWorkers, path: string, headers: Record<string, string> = {}) {
  return await fetch(`http://127.0.0.1:${gateway.port}/function/${path}`, {
    headers: { connection: "close", ...headers },
  });
}

async function known(gateway: GatewayWithWorkers, name: string): Promise<void> {
  await eventually(
    "all workers know it",
    async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => call(gateway, `${name}@v2`)));
      return answers.every(({ status }) => status === 200);
    },
    20_000,
  );
}

test("one cookie is one version, whichever worker of whichever gateway has the call", async () => {
  const annotations = { "com.faaslane.sticky": "cookie" };
  for (const gateway of [lab, other]) {
    put(gateway, "sticky", { annotations });
    await known(gateway, "sticky");
  }
  for (const key of ["a", "b", "c", "d", "e", "f"]) {
    const versions = new Set<string>();
    for (let n = 0; n < 20; n++) {
      const answer = await call(n % 2 ? lab : other, "sticky", { cookie: `fl-v-sticky=${key}` });
      versions.add(await answer.text());
    }
    expect([key, versions.size]).toEqual([key, 1]);
  }
});

test("max_inflight holds for each version by itself, over all workers", async () => {
  const labels = { "com.faaslane.queue.size": "200" };
  put(lab, "full", { maxInflight: 2, labels });
  await known(lab, "full");
  Object.assign(load.most, { v1: 0, v2: 0 });
  const calls = Array.from({ length: 40 }, () => call(lab, "full/slow"));
  const statuses = (await Promise.all(calls)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(load.most.v1).toBeLessThanOrEqual(2);
  expect(load.most.v2).toBeLessThanOrEqual(2);
  expect(load.most.v1 + load.most.v2).toBe(4);
});

test("when the function itself runs a version that was beside it, no worker goes on with what is gone", async () => {
  put(lab, "settled");
  await known(lab, "settled");
  const address = await lab.replica((_req, res) => res.end("settled"));
  lab.provider.put({ name: "settled", version: "v2", endpoints: [{ address, instance: address, state: "ready" }] });
  lab.provider.remove("settled@v2");
  await eventually(
    "all calls go to the function's own replica",
    async () => {
      const answers = Array.from({ length: 20 }, async () => await (await call(lab, "settled@v2")).text());
      return (await Promise.all(answers)).every((text) => text === "settled");
    },
    20_000,
  );
});

test("what workers count is the function's, and each version's", async () => {
  put(lab, "counted");
  await known(lab, "counted");
  const before = await counts();
  for (let n = 0; n < 12; n++) await (await call(lab, `counted@v${(n % 3) + 1 > 2 ? 1 : (n % 3) + 1}`)).text();
  const added = async (key: string) => ((await counts()).get(key) ?? 0) - (before.get(key) ?? 0);
  await eventually("all were counted", async () => (await added("gateway_function_invocation_total ")) === 12, 20_000);
  expect(await added("gateway_function_version_invocation_total v1")).toBe(8);
  expect(await added("gateway_function_version_invocation_total v2")).toBe(4);
});

async function counts(): Promise<Map<string, number>> {
  const text = await (await fetch(`${lab.metricsUrl}/metrics`)).text();
  return new Map(
    readSamples(text)
      .filter(({ labels }) => labels.function_name === "counted.openfaas-fn")
      .map(({ name, labels, value }) => [`${name} ${labels.function_version ?? ""}`, value]),
  );
}
