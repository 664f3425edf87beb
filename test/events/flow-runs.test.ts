import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { Registry } from "prom-client";
import { resumeStoppedRun } from "../../events/flows/resume-run.ts";
import { cancelRun } from "../../events/flows/run.ts";
import { DEFAULT_RUN_RETENTION, RunHousekeeper } from "../../events/flows/run-housekeeper.ts";
import { buildRunReport, type FindEvent } from "../../events/flows/run-report.ts";
import { RunsUnderWay } from "../../events/flows/runs-under-way.ts";
import { startRun } from "../../events/flows/start-run.ts";
import { registerEventMetrics } from "../../gateway/metrics/event-metrics.ts";
import { FlowBench, type ReceivedCall, type TestFunction } from "../support/events/flow-bench.ts";
import { eventually } from "../support/eventually.ts";

const NAMESPACE = "openfaas-fn";
const functions: Record<string, TestFunction> = {};
let bench: FlowBench;
let flow = "";
let tests = 0;
let clock = 0;

beforeAll(async () => {
  bench = await FlowBench.open({ functions, currentVersion: () => "v1", now: () => Date.now() + clock });
});
afterAll(() => bench.close());
beforeEach(() => {
  flow = `run-${++tests}`;
  clock = 0;
  bench.calls.length = 0;
  for (const name of Object.keys(functions)) delete functions[name];
});

const steps = () =>
  bench.flows.triggers.find(NAMESPACE, flow) as NonNullable<ReturnType<typeof bench.flows.triggers.find>>;
const json = ({ text }: ReceivedCall) => JSON.parse(text);

function start(data: unknown, key?: string) {
  const event = {
    attributes: { specversion: "1.0", id: "1", source: "/test", type: "asked", datacontenttype: "application/json" },
    data: Buffer.from(JSON.stringify(data)),
  };
  return startRun(steps(), bench.stores.events, { event, headers: [["X-Request-Id", "r1"]], key });
}

function ended(name: string, state: string) {
  return eventually(`the run is ${state}`, async () => {
    const run = await bench.runs.get(NAMESPACE, name);
    return run?.state === state && run;
  });
}

async function report(name: string) {
  const run = await bench.runs.get(NAMESPACE, name);
  if (!run) throw new Error("there is no run");
  const find: FindEvent = async (ref) => {
    const record = await bench.stores.events.find(NAMESPACE, ref);
    const text = record?.event.event.data?.toString();
    return record && { record, ...(text !== undefined && { text }) };
  };
  return buildRunReport({ namespace: NAMESPACE, id: name, run, plan: steps().plan, find, now: Date.now() });
}

test("a run can be started by name, once with a key, and tells of its steps", async () => {
  functions.add = (call) => JSON.stringify({ n: json(call).n + 1 });
  await bench.declare(flow, {
    steps: [
      { name: "one", function: "add" },
      { name: "two", function: "add" },
    ],
  });
  const first = await start({ n: 1 }, "order-7");
  const second = await start({ n: 1 }, "order-7");
  expect([second.name, second.duplicate]).toEqual([first.name, true]);
  await ended(first.name, "succeeded");
  expect(bench.names()).toEqual(["add", "add"]);
  expect(bench.calls[1]?.headers["x-request-id"]).toBe("r1");
  expect(await report(first.name)).toMatchObject({
    state: "succeeded",
    startedBy: { type: "asked" },
    versions: { one: "v1", two: "v1" },
    steps: [
      {
        name: "one",
        kind: "call",
        state: "done",
        tries: 1,
        attempts: [{ status: 200 }],
        input: { text: '{"n":1}' },
        output: { text: '{"n":2}' },
      },
      { name: "two", state: "done", input: { text: '{"n":2}' }, output: { text: '{"n":3}' } },
    ],
    result: { text: '{"n":3}', bytes: 7 },
  });
});

test("a failed run goes on with the step that failed, and none before it", async () => {
  let broken = true;
  functions.first = () => '{"first":true}';
  functions.second = () => (broken ? { status: 422, body: "no" } : "{}");
  await bench.declare(flow, {
    steps: [{ function: "first" }, { name: "pay", function: "second" }, { function: "first" }],
  });
  const { name } = await start({});
  await ended(name, "failed");
  expect((await report(name)).steps.map(({ state }) => state)).toEqual(["done", "failed", "skipped"]);
  broken = false;
  await resumeStoppedRun(steps(), bench.stores.events, name);
  await ended(name, "succeeded");
  expect(bench.names()).toEqual(["first", "second", "second", "first"]);
  expect(bench.calls[2]).toMatchObject({
    text: '{"first":true}',
    version: undefined,
    headers: { "x-flow-attempt": "2", "x-request-id": "r1" },
  });
});

test("runs are told of as series: how many begin, how they end, how long they take, and what is kept", async () => {
  functions.good = () => "{}";
  functions.bad = () => 400;
  await bench.declare(flow, { steps: [{ function: "good" }] });
  const failing = `${flow}-bad`;
  await bench.declare(failing, { steps: [{ function: "bad" }] });
  for (const key of ["a", "a", "b"]) await ended((await start({}, key)).name, "succeeded");
  const bad = bench.flows.triggers.find(NAMESPACE, failing) as ReturnType<typeof steps>;
  const event = { attributes: { specversion: "1.0", id: "1", source: "/test", type: "asked" } };
  const { name } = await startRun(bad, bench.stores.events, { event, headers: [], key: undefined });
  await ended(name, "failed");
  const registry = new Registry();
  const underWay = new RunsUnderWay();
  underWay.count(await bench.runs.list());
  const { meter } = bench;
  registerEventMetrics(registry, { meter, stats: async () => [], sources: () => [], runs: () => underWay.states });
  const told = (await registry.metrics()).split("\n").filter((line) => line.includes(`flow="${flow}`));
  const labels = `namespace="${NAMESPACE}",flow="${flow}"`;
  expect(told).toEqual(
    expect.arrayContaining([
      `faaslane_flows_runs{${labels},state="succeeded"} 2`,
      `faaslane_flows_runs_started_total{${labels}} 2`,
      `faaslane_flows_runs_ended_total{${labels},state="succeeded"} 2`,
      `faaslane_flows_runs_ended_total{${labels},state="failed"} 0`,
      `faaslane_flows_run_seconds_count{${labels}} 2`,
      `faaslane_flows_runs_ended_total{namespace="${NAMESPACE}",flow="${failing}",state="failed"} 1`,
    ]),
  );
});

test("a failed map goes on with the items that are not done", async () => {
  let broken = true;
  functions.item = (call) => (broken && json(call) === 3 ? 400 : call.text);
  await bench.declare(flow, {
    steps: [{ name: "each", map: { items: "data", concurrency: 2, subscriber: { function: "item" } } }],
  });
  const { name } = await start([0, 1, 2, 3, 4, 5, 6, 7]);
  await ended(name, "failed");
  expect((await report(name)).steps).toMatchObject([{ state: "failed", parts: { total: 8, failed: 1 } }]);
  const done = bench.calls.filter((call) => json(call) !== 3).map(json);
  // Also of those that were under way when it failed.
  await eventually("what is done is known", async () => (await report(name)).steps[0]?.parts?.done === done.length);
  broken = false;
  bench.calls.length = 0;
  await resumeStoppedRun(steps(), bench.stores.events, name);
  const run = await ended(name, "succeeded");
  expect(await bench.result(run)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect([...bench.calls.map(json), ...done].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test("what a step was given is kept for its resumption though the ledger has forgotten it", async () => {
  let broken = true;
  const large = "x".repeat(200_000);
  functions.second = (call) => (broken ? 400 : JSON.stringify({ length: json(call).large.length }));
  await bench.declare(flow, { steps: [{ function: "second" }] });
  const { name } = await start({ large });
  await ended(name, "failed");
  broken = false;
  await resumeStoppedRun(steps(), bench.stores.events, name);
  expect(await bench.result(await ended(name, "succeeded"))).toEqual({ length: 200_000 });
});

test("a cancelled run does nothing more, also not what it waits with", async () => {
  functions.late = () => 500;
  await bench.declare(flow, { steps: [{ function: "late", delivery: { retry: 100, backoffDelay: "20ms" } }] });
  const { name } = await start({});
  await eventually("it is tried", () => bench.calls.length > 1);
  await bench.runs.change(NAMESPACE, name, (run) => cancelRun(run, Date.now()));
  const known = await eventually("what waits is settled", async () => {
    const {
      steps: [step],
    } = await report(name);
    return step?.state === "done" && step;
  });
  expect(known.attempts.at(-1)?.note).toMatch(/cancelled/);
  expect((await bench.runs.get(NAMESPACE, name))?.state).toBe("cancelled");
});

test("a run that takes too long ends, whatever is still to come", async () => {
  functions.never = () => "{}";
  await bench.declare(flow, { timeout: "1h", steps: [{ wait: "30m" }, { function: "never" }] });
  const { name } = await start({});
  await eventually("it waits", async () => (await report(name)).steps[0]?.state === "waiting");
  clock = 3600_001;
  const housekeeper = new RunHousekeeper({
    runs: bench.runs,
    retention: DEFAULT_RUN_RETENTION,
    now: Date.now,
    overNow: () => Date.now() + clock,
    underWay: { looking: () => {}, count: () => {} },
    everyMs: 10,
    log: { warn: () => {} },
  });
  await ended(name, "timed-out");
  await housekeeper.close();
  expect(bench.calls).toEqual([]);
});

test("a run that is forgotten leaves nothing behind", async () => {
  functions.item = (call) => call.text;
  await bench.declare(flow, { steps: [{ map: { items: "data", subscriber: { function: "item" } } }] });
  const { name } = await start([1, 2]);
  const run = await ended(name, "succeeded");
  const left = async () =>
    (await bench.stores.resources.list("result", NAMESPACE)).filter((each) => each.name.startsWith(name));
  expect((await left()).length).toBeGreaterThan(0);
  await bench.runs.remove(NAMESPACE, name, run);
  expect(await left()).toEqual([]);
  expect(await bench.runs.get(NAMESPACE, name)).toBeUndefined();
});

test("results that are larger than a document join all the same, up to what an event may be", async () => {
  functions.large = () => JSON.stringify("x".repeat(300_000));
  await bench.declare(flow, { steps: [{ map: { items: "data", subscriber: { function: "large" } } }] });
  const fits = await start([1, 2, 3]);
  expect(((await bench.result(await ended(fits.name, "succeeded"))) as string[] | undefined)?.length ?? 3).toBe(3);
  const more = await start([1, 2, 3, 4, 5]);
  expect(await ended(more.name, "failed")).toMatchObject({ error: { errorType: "TooLarge" } });
});

test("runs beyond what a flow may have under way begin when others have ended", async () => {
  let most = 0;
  let now = 0;
  const own = await FlowBench.open({
    maxUnderWay: 2,
    functions: {
      slow: async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 20));
        now--;
        return "{}";
      },
    },
  });
  await own.declare("few", { broker: "few", steps: [{ function: "slow" }] });
  for (let run = 0; run < 6; run++) await own.send({ run }, {}, "few");
  await eventually(
    "all have ended",
    async () => {
      const runs = await own.all("few");
      return runs.length === 6 && runs.every(({ state }) => state === "succeeded");
    },
    30_000,
  );
  // Two, and what had been let begin but was not there yet when the others were counted.
  expect(most).toBeLessThan(5);
  await own.close();
});
