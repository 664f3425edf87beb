import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { decodeCallReport } from "../../contract/calls.ts";
import { readSamples } from "../compat/series.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** Versions of a function on the platform as it is, and who gets which of them. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

const PATIENCE_MS = 60_000;
const HANDLER = `
  export default (req, res) => void req.resume().on("end", () => {
    res.statusCode = req.url.startsWith("/fail") ? 500 : 200;
    res.setHeader("x-level", process.env.LEVEL);
    res.end(req.url.startsWith("/same") ? "same" : process.env.LEVEL);
  });`;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({
    dataDir: join(folder.path, "data"),
    cwd: folder.path,
    env: { sandbox: "off", max_retry_attempts: "3", initial_retry_wait: "10ms" },
  });
  await buildImage(platform, "split:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": HANDLER,
  });
  const annotations = { "com.faaslane.rollout": "manual", "com.faaslane.sticky": "cookie" };
  for (const [method, LEVEL] of [
    ["POST", "one"],
    ["PUT", "two"],
    ["PUT", "three"],
  ] as const) {
    await control(method, "/system/functions", { service: "f", image: "split:1", annotations, envVars: { LEVEL } });
    if (method === "POST") await answers("f", "one");
  }
}, 120_000);

afterAll(async () => {
  await platform?.stop();
  await folder?.remove();
}, 60_000);

async function control(method: string, path: string, body: object): Promise<void> {
  const answer = await platform.control(path, { method, body: JSON.stringify(body) });
  const text = await answer.text();
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
}

const call = (path: string, init: RequestInit = {}) => fetch(`${platform.url}/function/${path}`, init);

async function answers(path: string, text: string): Promise<void> {
  await eventually(`${path} answers`, async () => (await (await call(path)).text()) === text, PATIENCE_MS);
}

async function traffic(...targets: readonly object[]): Promise<void> {
  await control("PUT", "/system/function/f/traffic", { targets });
}

test("each version has an address, and a tag that is unknown has none", async () => {
  await traffic({ version: "v1", share: 10_000 }, { version: "v3", share: 0, tag: "next" });
  for (const [path, text] of [
    ["f", "one"],
    ["f@v1", "one"],
    ["f@v2.openfaas-fn", "two"],
    ["f@v3", "three"],
    ["f@next", "three"],
  ] as const) {
    await answers(path, text);
    expect((await call(path)).headers.get("x-function-version")).toBe({ one: "v1", two: "v2", three: "v3" }[text]);
  }
  const unknown = await call("f@other");
  expect([unknown.status, unknown.headers.get("x-faaslane-error")]).toEqual([404, "unknown_version"]);
}, 120_000);

test("a version that sleeps is woken by its tag, its address and its share, and by nothing else", async () => {
  await traffic({ version: "v1", share: 10_000 }, { version: "v3", share: 0, tag: "next" });
  await answers("f@next", "three");
  await control("POST", "/system/scale-function/f@v3", { serviceName: "f@v3", replicas: 0 });
  const explain = async () => {
    const answer = await platform.control("/system/scaling/f@v3");
    return (await answer.json()) as { function: string; replicas: number; ready: number };
  };
  await eventually("it sleeps", async () => (await explain()).replicas === 0, PATIENCE_MS);
  expect(await (await call("f")).text()).toBe("one");
  expect(await explain()).toMatchObject({ function: "f@v3", replicas: 0 });
  const woken = await call("f@next");
  expect([woken.status, await woken.text()]).toEqual([200, "three"]);
  expect(woken.headers.get("server-timing")).not.toBeNull();
}, 120_000);

test("a thousand calls are split by shares, and a caller with a cookie stays where it is", async () => {
  await traffic({ version: "v1", share: 9_000 }, { version: "v2", share: 1_000 });
  await answers("f@v2", "two");
  let second = 0;
  for (let n = 0; n < 20; n++) {
    const texts = await Promise.all(Array.from({ length: 50 }, async () => await (await call("f")).text()));
    second += texts.filter((text) => text === "two").length;
  }
  // Five sigmas.
  expect(Math.abs(second - 100)).toBeLessThan(48);
  for (let caller = 0; caller < 10; caller++) {
    const first = await call("f");
    const cookie = first.headers.getSetCookie()[0]?.split(";")[0] as string;
    const version = first.headers.get("x-function-version");
    for (let n = 0; n < 10; n++) {
      expect((await call("f", { headers: { cookie } })).headers.get("x-function-version")).toBe(version);
    }
  }
}, 120_000);

test("an asynchronous call of a version is retried on it, though the calls have gone elsewhere", async () => {
  await traffic({ version: "v1", share: 5_000 }, { version: "v2", share: 5_000 });
  await answers("f@v2", "two");
  const accepted = await fetch(`${platform.url}/async-function/f@v2/fail`, { method: "POST" });
  expect([accepted.status, accepted.headers.get("x-function-version")]).toEqual([202, "v2"]);
  await traffic({ version: "v1", share: 10_000 });
  const url = `${platform.url}${accepted.headers.get("location")}`;
  const report = decodeCallReport(await (await fetch(`${url}?wait=30s`)).json());
  expect(report).toMatchObject({ function: "f", version: "v2", status: 500 });
  const result = await fetch(`${url}/result`);
  expect([result.headers.get("x-level"), result.headers.get("x-function-version")]).toEqual(["two", "v2"]);
}, 120_000);

test("copies of calls wake another version and are compared, and callers see only their own", async () => {
  const annotations = { "com.faaslane.rollout": "manual", "com.faaslane.mirror": "v2=100" };
  const present = { service: "f", image: "split:1", envVars: { LEVEL: "three" } };
  await control("PUT", "/system/functions", { ...present, annotations });
  await traffic({ version: "v1", share: 10_000 });
  const compared = async (result: string) => {
    const text = await (await fetch(`${platform.metricsUrl}/metrics`)).text();
    return readSamples(text).some(
      ({ name, labels }) =>
        name === "gateway_function_version_mirrored_total" &&
        labels.function_version === "v2" &&
        labels.result === result,
    );
  };
  await eventually(
    "copies are compared",
    async () => {
      expect(await (await call("f/same")).text()).toBe("same");
      expect(await (await call("f")).text()).toBe("one");
      return (await compared("same")) && ((await compared("body")) || (await compared("length")));
    },
    PATIENCE_MS,
  );
}, 120_000);

test("OpenFaaS's own routes show one function, with the calls of all its versions", async () => {
  const answer = await platform.control("/system/functions");
  const list = (await answer.json()) as { name: string; invocationCount?: number }[];
  expect(list.map(({ name }) => name)).toEqual(["f"]);
  expect(list[0]?.invocationCount).toBeGreaterThan(1_000);
});
