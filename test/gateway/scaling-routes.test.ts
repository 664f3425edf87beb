import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { decodeScalingReport, decodeScalingSample, decodeScalingWhatIf } from "../../contract/scaling.ts";
import { eventually } from "../support/eventually.ts";
import { ScalingGateway } from "./scaling-gateway.ts";

let lab: ScalingGateway;

beforeAll(async () => {
  lab = await ScalingGateway.open();
});
afterEach(() => {
  lab.provider.respond = (_request, res) => res.writeHead(202).end();
});
afterAll(async () => await lab.close());

const get = async (path: string) => await lab.control(`/system/scaling/${path}`);

async function deploy(labels: Record<string, string> = {}, name = "f"): Promise<void> {
  lab.provider.put({ name, labels });
  await eventually("it was decided on", async () => {
    const answer = await get(name);
    return answer.status === 200 && decodeScalingReport(await answer.json()).last;
  });
}

test("the report has settings by the names of their labels, what is wrong with them, and the last decision", async () => {
  await deploy(
    { "com.openfaas.scale.target": "7", "com.openfaas.scale.max": "many", "com.openfaas.scale.min": "2" },
    "wrong",
  );
  const report = decodeScalingReport(await (await get("wrong.openfaas-fn")).json());
  expect(report).toMatchObject({
    function: "wrong",
    namespace: "openfaas-fn",
    replicas: 1,
    type: "rps",
    settings: {
      target: 7,
      min: 2,
      max: 20,
      "target-proportion": 0.9,
      window: "30s",
      "panic-window": 10,
      "panic-threshold": 200,
      "up-delay": "0s",
    },
    leading: true,
    alerted: false,
    last: { from: 1, to: 2, reason: "initial" },
  });
  expect(report.problems).toEqual([expect.stringContaining('com.openfaas.scale.max: "many"')]);
  expect(report.last?.steps.at(-1)).toEqual({ reason: "initial", replicas: 2, text: "it begins with 2" });
});

test("what the provider refuses is told until it agrees", async () => {
  lab.provider.respond = (_request, res) => res.writeHead(400, { "content-type": "text/plain" }).end("no room");
  await deploy({ "com.openfaas.scale.min": "2" }, "refused");
  const refused = async () => decodeScalingReport(await (await get("refused")).json()).refused;
  expect(await eventually("it is told", refused)).toContain("no room");
  lab.provider.respond = (_request, res) => res.writeHead(202).end();
  await eventually("it is forgotten", async () => (await refused()) === undefined);
});

test("a function that alerts scale is left alone", async () => {
  await deploy({}, "alerted");
  const body = JSON.stringify({ alerts: [{ status: "firing", labels: { function_name: "alerted" } }] });
  expect((await lab.control("/system/alert", { method: "POST", body })).status).toBe(200);
  expect(decodeScalingReport(await (await get("alerted")).json()).alerted).toBe(true);
  expect(lab.orders()).toContainEqual({ serviceName: "alerted", namespace: "openfaas-fn", replicas: 5 });
});

const byHand = async (name: string) => decodeScalingReport(await (await get(name)).json()).byHand;

test.each<[how: string, path: string, init: RequestInit]>([
  ["as faas-cli asks", "", { body: '{"serviceName": "hand", "replicas": 1}' }],
  ["with the namespace in the query", "?namespace=openfaas-fn", { body: '{"replicas":1}' }],
  ["with the namespace in the body", "", { body: '{"replicas":1,"namespace":"openfaas-fn"}' }],
])("an order passes through as it is, and is known to be by hand: %s", async (how, query, init) => {
  const name = `hand-${how.length}`;
  await deploy({}, name);
  const path = `/system/scale-function/${name}${query}`;
  expect((await lab.control(path, { method: "POST", ...init })).status).toBe(202);
  expect(lab.provider.requests.at(-1)).toMatchObject({ method: "POST", url: path, body: init.body });
  expect(await byHand(name)).toMatchObject({ replicas: 1 });
});

test.each<[what: string, status: number, init: RequestInit]>([
  ["one that the provider refuses", 400, { body: '{"replicas":3}' }],
  ["one that says nothing", 202, { body: "{}" }],
  ["one that is no JSON", 202, { body: "3" }],
  ["one without a body", 202, {}],
  ["one that is larger than orders are", 202, { body: `{"replicas":3,"x":"${"x".repeat(70_000)}"}` }],
])("%s is answered by the provider, and holds nothing", async (_what, status, init) => {
  await deploy({}, "nothing");
  lab.provider.respond = (_request, res) => res.writeHead(status).end("said");
  const answer = await lab.control("/system/scale-function/nothing", { method: "POST", ...init });
  expect([answer.status, await answer.text()]).toEqual([status, "said"]);
  expect(lab.provider.requests.at(-1)?.body).toBe(init.body ?? "");
  expect(await byHand("nothing")).toBeUndefined();
});

test("to scale needs the password", async () => {
  const init = { method: "POST", body: '{"replicas":3}', headers: { "content-type": "application/json" } };
  expect((await fetch(`${lab.gateway.url}/system/scale-function/f`, init)).status).toBe(401);
});

test("the history is NDJSON, oldest first, from the moment that is asked for", async () => {
  await deploy();
  const read = async (query: string) => {
    const answer = await get(`f/history${query}`);
    expect(answer.headers.get("content-type")).toMatch(/^application\/x-ndjson/);
    const lines = (await answer.text()).split("\n");
    expect(lines.pop()).toBe("");
    return lines.map((line) => decodeScalingSample(JSON.parse(line)));
  };
  const all = await eventually("it stood for a while", async () => {
    const samples = await read("");
    return samples.length >= 2 && samples;
  });
  expect(all.map(({ t }) => t)).toEqual(all.map(({ t }) => t).sort((a, b) => a - b));
  expect(all[0]).toMatchObject({ concurrency: 0, started: 0, inFlight: 0, held: 0, queued: 0, replicas: 1, ready: 0 });
  const since = (all[0]?.t ?? 0) + 500;
  const later = await read(`?since=${new Date(since).toISOString()}`);
  expect(later[0]?.t).toBe(since);
  expect(await read("?since=2999-01-01T00:00:00Z")).toEqual([]);
});

test("other settings are tried on what was recorded, beside those that the function has", async () => {
  await deploy({ "com.openfaas.scale.max": "7" }, "tried");
  await eventually("it stood for a while", async () => (await (await get("tried/history")).text()) !== "");
  const answer = await get("tried/what-if?set=min=3");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const found = decodeScalingWhatIf(await answer.json());
  expect(found.settings).toMatchObject({ min: 3, max: 7 });
  expect(found.points.at(-1)?.wanted).toBe(3);
  const refused = await get("tried/what-if?set=min=9");
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringMatching(/^set: .*min/)]);
  // Nothing has changed by that.
  expect(decodeScalingReport(await (await get("tried")).json())).toMatchObject({ settings: { min: 1 }, problems: [] });
});

test.each(["yesterday", "", "2026-13-01T00:00:00Z"])("since=%j is refused", async (since) => {
  await deploy();
  const answer = await get(`f/history?since=${since}`);
  expect(answer.status).toBe(400);
  expect(await answer.text()).toMatch(/^since: must be a time/);
});

test.each(["gone", "gone/history", "gone/what-if", "f.elsewhere", "f?namespace=elsewhere"])(
  "%s is not found",
  async (path) => {
    await deploy();
    const answer = await get(path);
    expect(answer.status).toBe(404);
    expect(await answer.text()).toMatch(/is not scaled here/);
  },
);

test("who scales the main version by its address has scaled the function", async () => {
  lab.provider.put({ name: "main", version: "v1" });
  await eventually("it is watched", async () => (await get("main")).status === 200);
  const init = { headers: { "content-type": "application/json" }, body: JSON.stringify({ replicas: 1 }) };
  await lab.control("/system/scale-function/main@v1", { method: "POST", ...init });
  expect(await byHand("main")).toMatchObject({ replicas: 1 });
});

test("a version beside a function has a report of its own", async () => {
  await deploy();
  await deploy({ "com.openfaas.scale.target": "3" }, "f@v2");
  for (const path of ["f@v2", "f@v2.openfaas-fn", "f%40v2?namespace=openfaas-fn"]) {
    expect(decodeScalingReport(await (await get(path)).json())).toMatchObject({
      function: "f@v2",
      settings: { target: 3 },
    });
  }
  expect(decodeScalingReport(await (await get("f")).json()).settings.target).not.toBe(3);
});

test("the namespace may be given apart", async () => {
  await deploy();
  expect((await get("f?namespace=openfaas-fn")).status).toBe(200);
});

test.each(["f", "f/history"])("%s needs the password, and is for reading only", async (path) => {
  await deploy();
  expect((await fetch(`${lab.gateway.url}/system/scaling/${path}`)).status).toBe(401);
  expect((await lab.control(`/system/scaling/${path}`, { method: "POST" })).status).toBe(405);
});
