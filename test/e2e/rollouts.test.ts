import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { decodeListedRollout, type ListedRollout, type RollbackAnswer } from "../../contract/versions/requests.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { SteadyLoad } from "../support/steady-load.ts";

const PATIENCE_MS = 90_000;
const IMAGE = "shop:1";
const CANARY = { "com.faaslane.rollout": "canary" };

/** Fails each call whose number `FAIL` divides, and takes `MS` for all. */
const HANDLER = `
  let calls = 0;
  export default (_req, res) => {
    res.statusCode = process.env.FAIL && ++calls % Number(process.env.FAIL) === 0 ? 500 : 200;
    setTimeout(() => res.end("done"), Number(process.env.MS ?? 0));
  };`;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
const loads: SteadyLoad[] = [];

async function start(): Promise<Platform> {
  return await Platform.start({
    dataDir: join(folder.path, "data"),
    cwd: folder.path,
    env: { sandbox: "off", log_level: "info" },
  });
}

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await start();
  await buildImage(platform, IMAGE, {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": HANDLER,
  });
}, 120_000);

afterEach(async () => {
  for (const load of loads.splice(0)) await load.stop();
});

afterAll(async () => {
  await platform?.stop();
  await folder?.remove();
}, 60_000);

async function deploy(method: "POST" | "PUT", name: string, given: object): Promise<void> {
  const body = JSON.stringify({ service: name, image: IMAGE, ...given });
  const answer = await platform.control("/system/functions", { method, body });
  const text = await answer.text();
  if (answer.status !== 202) throw new Error(`${answer.status} ${text}`);
}

/** A function that serves with its first version. */
async function begin(name: string, annotations: Readonly<Record<string, string>>, envVars = {}): Promise<void> {
  await deploy("POST", name, { annotations, envVars });
  const url = `${platform.url}/function/${name}`;
  await eventually(`${name} answers`, async () => (await fetch(url)).status === 200, PATIENCE_MS, 50);
}

async function rolloutOf(name: string): Promise<NonNullable<ListedRollout["rollout"]>> {
  const answer = await platform.control(`/system/function/${name}/rollout`);
  const { rollout } = decodeListedRollout(await answer.json());
  if (!rollout) throw new Error("there is no rollout");
  return rollout;
}

async function phaseOf(name: string): Promise<string> {
  const { phase, step } = await rolloutOf(name);
  return `${phase} ${step}`;
}

async function reach(name: string, phase: string): Promise<void> {
  await eventually(`${name} is ${phase}`, async () => (await phaseOf(name)) === phase, PATIENCE_MS, 50);
}

function load(name: string, perSecond: number): SteadyLoad {
  const made = new SteadyLoad(`${platform.url}/function/${name}`, perSecond);
  loads.push(made);
  return made;
}

/** When the rollouts of a function came to each phase and step, as the log says. */
function changesOf(name: string): { readonly time: string; readonly phase: string; readonly step: number }[] {
  return platform.stdout
    .split("\n")
    .filter((line) => line.includes('"msg":"rollout"') && line.includes(`"function":"${name}"`))
    .map((line) => JSON.parse(line) as { time: string; phase: string; step: number });
}

describe("a rollout under load", () => {
  test("a good version gets all calls, step by step, and none fails", async () => {
    const steps = { "com.faaslane.rollout.steps": "5@3s,50@3s,100" };
    const gate = { "com.faaslane.rollout.gate": "errors<5%,p95<5s", "com.faaslane.rollout.min-requests": "10" };
    const annotations = { ...CANARY, ...steps, ...gate };
    await begin("good", annotations);
    const calls = load("good", 100);
    await deploy("PUT", "good", { annotations, envVars: { RELEASE: "2" } });
    await reach("good", "done 2");
    const reached = calls.calls.length;
    await eventually("calls go on", () => calls.calls.length > reached + 200, PATIENCE_MS);
    await calls.stop();
    expect(calls.failures).toEqual([]);
    const late = calls.calls.slice(reached + 100);
    expect([...new Set(late.map(({ version }) => version))]).toEqual(["v2"]);
    expect(calls.countOf("v1")).toBeGreaterThan(100);
    expect(changesOf("good").map(({ phase, step }) => `${phase} ${step}`)).toEqual(["step 0", "step 1", "done 2"]);
  }, 240_000);

  test("20 % errors at a share of 5 % of 100 calls a second: aborted within 10 s, at most 0.3 % of all calls fail", async () => {
    const steps = { "com.faaslane.rollout.steps": "5@10m,100" };
    const gate = { "com.faaslane.rollout.gate": "errors<1%", "com.faaslane.rollout.min-requests": "5" };
    const annotations = { ...CANARY, ...steps, ...gate };
    await begin("failing", annotations);
    const calls = load("failing", 100);
    await eventually("calls go on", () => calls.calls.length > 1_500, PATIENCE_MS);
    await deploy("PUT", "failing", { annotations, envVars: { FAIL: "5" } });
    await reach("failing", "aborted 0");
    const { reason, from, to } = await rolloutOf("failing");
    expect(reason).toMatch(/^errors are /);
    expect([from, to]).toEqual(["v1", "v2"]);
    const reached = calls.calls.length;
    await eventually("calls go on", () => calls.calls.length > reached + 1_500, PATIENCE_MS);
    await calls.stop();
    const [begun, aborted] = changesOf("failing").map(({ time }) => Date.parse(time)) as [number, number];
    const share = calls.failures.length / calls.calls.length;
    process.stderr.write(`aborted after ${aborted - begun} ms, ${(share * 100).toFixed(2)} % of calls failed\n`);
    expect(aborted - begun).toBeLessThan(10_000);
    expect(share).toBeLessThanOrEqual(0.003);
    const late = calls.calls.slice(reached + 100);
    expect([...new Set(late.map(({ version }) => version))]).toEqual(["v1"]);
  }, 240_000);

  test("one that is slower than the stable version is aborted by a relative condition", async () => {
    const steps = { "com.faaslane.rollout.steps": "50@10m,100" };
    const gate = { "com.faaslane.rollout.gate": "p95<2x" };
    const annotations = { ...CANARY, ...steps, ...gate };
    await begin("slow", annotations, { MS: "30" });
    const calls = load("slow", 50);
    await deploy("PUT", "slow", { annotations, envVars: { MS: "300" } });
    await reach("slow", "aborted 0");
    expect((await rolloutOf("slow")).reason).toMatch(/^p95 is \d+.* the limit 2 × \d+.* of the stable version$/);
    await calls.stop();
    expect(calls.failures).toEqual([]);
  }, 240_000);

  test("copies of calls are enough to find a failing version: it is aborted before anybody is given its answer", async () => {
    const steps = { "com.faaslane.rollout.steps": "mirror:50@10m,100" };
    const gate = { "com.faaslane.rollout.gate": "errors<1%", "com.faaslane.rollout.min-requests": "50" };
    const annotations = { ...CANARY, ...steps, ...gate };
    await begin("copied", annotations);
    const calls = load("copied", 50);
    await deploy("PUT", "copied", { annotations, envVars: { FAIL: "2" } });
    await reach("copied", "aborted 0");
    expect((await rolloutOf("copied")).reason).toMatch(/^errors are /);
    await calls.stop();
    expect(calls.failures).toEqual([]);
    expect(calls.countOf("v2")).toBe(0);
  }, 240_000);

  test("a version that cannot start is aborted for its reason, and never had a call", async () => {
    await begin("broken", CANARY);
    const calls = load("broken", 20);
    await deploy("PUT", "broken", { annotations: CANARY, envVars: { inproc_handler: "./missing.mjs" } });
    await reach("broken", "aborted 0");
    expect((await rolloutOf("broken")).reason).toMatch(/^v2 cannot start: .+/);
    await calls.stop();
    expect(calls.failures).toEqual([]);
    expect(calls.countOf("v2")).toBe(0);
  }, 240_000);

  test("a rollback under 200 calls a second fails none, and the old version answers at once", async () => {
    const annotations = { ...CANARY, "com.faaslane.rollout.steps": "100" };
    await begin("back", annotations);
    await deploy("PUT", "back", { annotations, envVars: { RELEASE: "2" } });
    await reach("back", "done 0");
    const calls = load("back", 200);
    await eventually("the new one answers", () => calls.countOf("v2") > 400, PATIENCE_MS);
    const body = JSON.stringify({ reason: "a test" });
    const askedAt = performance.now();
    const answer = await platform.control("/system/function/back/rollback", { method: "POST", body });
    expect(answer.status).toBe(200);
    expect((await answer.json()) as RollbackAnswer).toMatchObject({ from: "v2", to: "v1", warm: true });
    await eventually("the old one answers", () => calls.countOf("v1") > 400, PATIENCE_MS);
    await calls.stop();
    expect(calls.failures).toEqual([]);
    const first = calls.calls.find(({ version, begunAt }) => version === "v1" && begunAt >= askedAt);
    const last = calls.calls.findLast(({ version }) => version === "v2");
    const [firstMs, lastMs] = [first, last].map((call) => Math.round((call?.begunAt ?? 0) - askedAt));
    process.stderr.write(`rolled back: first of v1 begun after ${firstMs} ms, last of v2 after ${lastMs} ms\n`);
    expect(firstMs).toBeLessThan(1_000);
    expect(lastMs).toBeLessThan(2_000);
  }, 240_000);
});

test("a rollback after its window starts the version anew, and fails no call", async () => {
  const window = { "com.faaslane.rollback-window": "1s" };
  const annotations = { ...CANARY, ...window, "com.faaslane.rollout.steps": "100" };
  await begin("late", annotations);
  await deploy("PUT", "late", { annotations, envVars: { RELEASE: "2" } });
  await reach("late", "done 0");
  const sleeps = async () => {
    const answer = await platform.control("/system/function/late/versions");
    const { versions } = (await answer.json()) as { versions: { version: string; replicas?: number }[] };
    return (versions.find(({ version }) => version === "v1")?.replicas ?? 0) === 0;
  };
  await eventually("the old one has no replica", sleeps, PATIENCE_MS);
  const calls = load("late", 50);
  await eventually("the new one answers", () => calls.countOf("v2") > 50, PATIENCE_MS);
  const body = JSON.stringify({ reason: "a test" });
  const answer = await platform.control("/system/function/late/rollback", { method: "POST", body });
  expect((await answer.json()) as RollbackAnswer).toMatchObject({ from: "v2", to: "v1", warm: false });
  await eventually("the old one answers", () => calls.countOf("v1") > 50, PATIENCE_MS);
  await calls.stop();
  expect(calls.failures).toEqual([]);
}, 240_000);

test("a platform that is killed in the third step goes on there, with the time that has passed in it", async () => {
  const steps = { "com.faaslane.rollout.steps": "1@1s,5@1s,25@25s,100", "com.faaslane.rollout.no-data": "advance" };
  const annotations = { ...CANARY, ...steps };
  await begin("killed", annotations);
  await deploy("PUT", "killed", { annotations, envVars: { RELEASE: "2" } });
  await reach("killed", "step 2");
  const before = await rolloutOf("killed");
  await eventually("much of its time has passed", () => Date.now() - before.since > 8_000, PATIENCE_MS);
  platform.kill("SIGKILL");
  await platform.ended;
  platform = await start();
  const startedAt = Date.now();
  const { phase, step, since, id } = await rolloutOf("killed");
  expect([phase, step, since, id]).toEqual(["step", 2, before.since, before.id]);
  await reach("killed", "done 3");
  const [end, ...others] = changesOf("killed");
  expect([end?.phase, others]).toEqual(["done", []]);
  // Had the step begun anew, it would have ended later.
  expect(Date.parse(end?.time ?? "") - startedAt).toBeLessThan(25_000);
  expect((await fetch(`${platform.url}/function/killed`)).headers.get("x-function-version")).toBe("v2");
}, 240_000);
