import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { MAX_CHANGES } from "../../contract/versions/function-versions.ts";
import { ref } from "../provider/local/support.ts";
import { serveProvider, type TestProvider } from "../provider/support.ts";
import { openVersioned, rollout, type VersionedFixture } from "../provider/versions/support.ts";

/** What is sent to the provider's routes about versions, by somebody who has logged in and means no good. */
let on: VersionedFixture;
let provider: TestProvider;

const BASE = "/system/function/shop";

beforeAll(async () => {
  on = await openVersioned();
  provider = await serveProvider({ backend: on.backend });
  await on.deploy("shop", rollout("canary", { "com.faaslane.rollout.steps": "10@1h,100" }));
  await on.backend.functions.scale(ref("shop"), 0);
}, 60_000);

afterAll(async () => {
  await provider?.close();
  await on?.close();
}, 60_000);

async function ask(method: string, path: string, body?: unknown): Promise<[status: number, text: string]> {
  const answer = await provider.call(method, path, body);
  return [answer.status, await answer.text()];
}

/** What is kept stays as it is. */
async function refuses(statuses: readonly number[], ...request: Parameters<typeof ask>): Promise<void> {
  const before = await on.kept("shop");
  const [status, text] = await ask(...request);
  expect({ request, status, text, expected: statuses.includes(status) }).toMatchObject({ expected: true });
  expect(text.length).toBeLessThan(10_000);
  expect(await on.kept("shop")).toEqual(before);
}

const PROTOTYPES = ["__proto__", "constructor", "toString", "hasOwnProperty"];

test.each(PROTOTYPES)("names of what every object has name no version: %s", async (name) => {
  await refuses([400], "POST", `${BASE}/rollback`, { to: name });
  await refuses([400], "PUT", `${BASE}/traffic`, { targets: [{ version: name, share: 10_000 }] });
  await refuses([404], "DELETE", `${BASE}/versions/${name}`);
  await refuses([400], "GET", `${BASE}/versions?diff=${name}..v1`);
  await refuses([404], "GET", `/system/function/${name}/versions`);
});

test.each(["v1%2f..%2f..", "..%2fshop", "v1%00", "v1%0d%0aX: y", "V1", "v01", "v1e9", "v99999999999"])(
  "paths that are no version's lead nowhere: %s",
  async (version) => {
    await refuses([400, 404], "DELETE", `${BASE}/versions/${version}`);
    await refuses([400, 404], "PUT", `${BASE}/versions/${version}/hold`, { until: 1 });
  },
);

test.each(["1e309", "-1", "0.5", '"10000"', "null", "[]", "9007199254740993", "10001"])(
  "shares are whole hundredths of a percent: %s",
  async (share) => {
    await refuses([400], "PUT", `${BASE}/traffic`, `{"targets":[{"version":"v1","share":${share}}]}`);
  },
);

test("lists and texts have a limit", async () => {
  const targets = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ version: "v1", share: 0, tag: `t${i}` }));
  for (const count of [33, 20_000]) await refuses([400], "PUT", `${BASE}/traffic`, { targets: targets(count) });
  const reason = "x".repeat(1_001);
  await refuses([400], "PUT", `${BASE}/traffic`, { targets: [], reason });
  await refuses([400], "POST", `${BASE}/rollback`, { reason });
  await refuses([400], "POST", `${BASE}/rollout`, { action: "abort", reason });
  await refuses([400], "POST", `${BASE}/rollback`, "[".repeat(100_000));
  await refuses([400], "POST", `${BASE}/rollback`, { to: "v".repeat(100_000) });
});

test("names of units are nobody's to deploy, replace, remove or read secrets by", async () => {
  for (const service of ["shop@v1", "shop@v2", "@v1", "shop@", "shop@v1@v2"]) {
    for (const method of ["POST", "PUT"]) {
      const [status] = await ask(method, "/system/functions", { service, image: "app:1" });
      expect([service, method, status]).toEqual([service, method, 400]);
    }
    const [status] = await ask("DELETE", "/system/functions", { functionName: service });
    expect([service, status]).toEqual([service, 404]);
  }
  const [, list] = await ask("GET", "/system/functions");
  expect((JSON.parse(list) as { name: string }[]).map(({ name }) => name)).toEqual(["shop"]);
});

test("who drives a rollout can neither begin one, nor make it another, nor leave its steps", async () => {
  await refuses([409], "PUT", `${BASE}/rollout`, { generation: 1, rollout: stateOf() });
  await on.deploy("shop", { ...rollout("canary", { "com.faaslane.rollout.steps": "10@1h,100" }), image: "app:2" });
  const { generation, rollout: real } = await on.control.rollout(ref("shop"));
  for (const wrong of [{ id: 7 }, { step: 2 }, { step: -1 }, { phase: "over" }, { measurements: Array(11).fill({}) }]) {
    await refuses([400, 409], "PUT", `${BASE}/rollout`, { generation, rollout: { ...real, ...wrong } });
  }
  const forged = {
    ...real,
    from: "v9",
    to: "v8",
    phase: "step",
    startedAt: 0,
    settings: { ...real?.settings, gates: [], maxMs: 1 },
  };
  expect((await ask("PUT", `${BASE}/rollout`, { generation, rollout: forged }))[0]).toBe(200);
  const { rollout: after } = await on.control.rollout(ref("shop"));
  expect(after).toMatchObject({
    from: "v1",
    to: "v2",
    phase: "step",
    settings: real?.settings,
    startedAt: real?.startedAt,
  });
  await on.control.act(ref("shop"), { action: "abort" }, undefined);
}, 30_000);

function stateOf(): object {
  const settings = {
    strategy: "canary",
    steps: [{ share: 10_000 }],
    gates: [],
    minRequests: 0,
    onFail: "abort",
    maxMs: 1,
    warm: 0,
  };
  return { id: 1, from: "v1", to: "v1", phase: "step", step: 0, since: 0, startedAt: 0, settings, measurements: [] };
}

test("changes that come all at once are made one after the other, and their history has an end", async () => {
  const change = (i: number) =>
    ask("PUT", `${BASE}/traffic`, { targets: [{ version: i % 2 ? "v1" : "v2", share: 10_000 }], reason: `${i}` });
  const answers = await Promise.all(Array.from({ length: 120 }, (_, i) => change(i)));
  expect(new Set(answers.map(([status]) => status))).toEqual(new Set([200]));
  const { history, generation } = await on.kept("shop");
  expect(history.length).toBe(MAX_CHANGES);
  const stale = Array.from({ length: 20 }, () => ask("PUT", `${BASE}/traffic`, { generation, targets: [] }));
  const statuses = (await Promise.all(stale)).map(([status]) => status).sort();
  expect(statuses).toEqual([200, ...Array(19).fill(409)]);
}, 60_000);

test("who deploys without end does not fill the disk with versions", async () => {
  const annotations = { "com.faaslane.version-keep": "3" };
  for (let i = 0; i < 30; i++) await on.deploy("many", { annotations, envVars: { LEVEL: String(i) } });
  await on.backend.functions.scale(ref("many"), 0);
  const { versions, last } = await on.kept("many");
  expect([last, versions.length]).toEqual([30, 5]);
  const rows = [...(await on.rows()).keys()].filter((name) => name.startsWith("many"));
  expect(rows.length).toBe(5);
}, 60_000);

test("a hold lasts for a month at most, whatever is asked for", async () => {
  const [status] = await ask("PUT", `${BASE}/versions/v1/hold`, { until: Number.MAX_SAFE_INTEGER });
  expect(status).toBe(202);
  const held = (await on.kept("shop")).versions.find(({ version }) => version === "v1")?.wantedUntil ?? 0;
  expect(held - Date.now()).toBeLessThan(32 * 24 * 3_600_000);
  await refuses([400], "PUT", `${BASE}/versions/v1/hold`, { until: -1 });
});
