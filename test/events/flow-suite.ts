import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import {
  FlowBench,
  type FlowBenchOptions,
  type ReceivedCall,
  type TestFunction,
} from "../support/events/flow-bench.ts";
import { eventually } from "../support/eventually.ts";

/** What flows do, whatever store is beneath them; one of its own in a file when none is given. */
export function describeFlows(name: string, openStores?: FlowBenchOptions["openStores"]): void {
  describe(name, () => {
    /** Functions are changed from test to test; the bench stays. */
    const functions: Record<string, TestFunction> = {};
    let bench: FlowBench;
    let flow = "";
    let tests = 0;

    beforeAll(async () => {
      bench = await FlowBench.open({
        functions,
        ...(openStores && { openStores }),
        currentVersion: (name) => (name === "versioned" ? "v3" : undefined),
      });
    });
    afterAll(() => bench.close());

    const json = ({ text }: ReceivedCall) => JSON.parse(text);

    beforeEach(() => {
      flow = `flow-${++tests}`;
      for (const name of Object.keys(functions)) delete functions[name];
      Object.assign(functions, {
        add: (call: ReceivedCall) => JSON.stringify({ n: json(call).n + 1 }),
        double: (call: ReceivedCall) => JSON.stringify({ n: json(call).n * 2 }),
        broken: () => 400,
      });
    });
    afterEach(async () => {
      await bench.stores.resources.remove({ kind: "flow", namespace: "openfaas-fn", name: flow });
      bench.calls.length = 0;
    });

    const once = { retry: 0 };
    /** Declares a flow of the test's own broker, and sends an event there. */
    async function run(spec: object, data: unknown = { n: 1 }, attributes: Record<string, string> = {}) {
      await bench.declare(flow, { broker: flow, ...spec });
      await bench.send(data, attributes, flow);
      return bench.ended(flow);
    }

    test("a sequence passes answers on from step to step", async () => {
      const ended = await run({
        steps: [{ function: "add" }, { ref: { kind: "Function", name: "double" } }, { function: "add" }],
      });
      expect(ended).toMatchObject({ state: "succeeded", startedBy: { type: "order" } });
      expect(await bench.result(ended)).toEqual({ n: 5 });
      expect(bench.calls.map(({ headers }) => [headers["x-flow-step"], headers["x-flow-attempt"]])).toEqual([
        ["step-1", "1"],
        ["step-2", "1"],
        ["step-3", "1"],
      ]);
      expect(new Set(bench.calls.map(({ headers }) => headers["x-flow-run"]))).toEqual(new Set([ended.name]));
      expect(bench.calls[0]?.headers["x-flow"]).toBe(flow);
    });

    test("an event that a step answers goes on as it is", async () => {
      functions.made = () => ({
        attributes: {
          specversion: "1.0",
          id: "7",
          source: "/made",
          type: "made",
          extra: "x",
          datacontenttype: "text/plain",
        },
        data: Buffer.from("hello"),
      });
      functions.seen = () => "{}";
      await run({ steps: [{ function: "made" }, { function: "seen" }] });
      expect(bench.calls[1]).toMatchObject({
        text: "hello",
        headers: {
          "ce-id": "7",
          "ce-source": "/made",
          "ce-type": "made",
          "ce-extra": "x",
          "content-type": "text/plain",
        },
      });
    });

    test("an empty answer ends a run silently", async () => {
      functions.empty = () => 204;
      const ended = await run({ steps: [{ function: "empty" }, { function: "add" }], reply: { function: "double" } });
      expect(ended).toMatchObject({ state: "succeeded", endedAtStep: "step-1" });
      expect(bench.names()).toEqual(["empty"]);
    });

    test("only what passes the filter starts a run, and each event one of its own", async () => {
      await bench.declare(flow, {
        broker: flow,
        filter: { attributes: { type: "paid" } },
        steps: [{ function: "add" }],
      });
      await bench.send({ n: 1 }, { type: "other" }, flow);
      await bench.send({ n: 1 }, { type: "paid" }, flow);
      await bench.send({ n: 2 }, { type: "paid" }, flow);
      const runs = await eventually("both have ended", async () => {
        const all = await bench.all(flow);
        return all.length === 2 && all.every(({ state }) => state === "succeeded") && all;
      });
      expect(new Set(runs.map(({ name }) => name)).size).toBe(2);
      expect(bench.names()).toEqual(["add", "add"]);
    });

    test("the reply is a step of the run: a broker that starts another flow", async () => {
      functions.last = () => "{}";
      await bench.declare(`${flow}-b`, { broker: `${flow}-b`, steps: [{ function: "last" }] });
      const ended = await run({ steps: [{ function: "add" }], reply: { broker: `${flow}-b` } });
      expect(ended.state).toBe("succeeded");
      expect((await bench.ended(`${flow}-b`)).state).toBe("succeeded");
      expect(bench.calls.map(({ name, text }) => [name, text])).toEqual([
        ["add", '{"n":1}'],
        ["last", '{"n":2}'],
      ]);
    });

    test("a step that fails for good fails the run, with the error that the function names", async () => {
      functions.typed = () => ({ status: 422, body: '{"errorType":"NoStock","cause":{"item":7}}' });
      const ended = await run({ steps: [{ name: "charge", function: "typed" }, { function: "add" }] });
      expect(ended).toMatchObject({
        state: "failed",
        error: { step: "charge", errorType: "NoStock", cause: '{"item":7}', status: 422 },
      });
      expect(bench.names()).toEqual(["typed"]);
    });

    test("a step that answers 410 fails its run, and not those after it", async () => {
      functions.gone = (call) => (json(call).n === 1 ? 410 : "{}");
      const first = await run({ steps: [{ function: "gone" }] });
      expect(first).toMatchObject({ state: "failed", error: { errorType: "Http410" } });
      await bench.send({ n: 2 }, {}, flow);
      await eventually("the second has succeeded", async () => {
        return (await bench.all(flow)).some(({ state }) => state === "succeeded");
      });
    });

    test("a step is tried again as its delivery says, and says so", async () => {
      let tries = 0;
      functions.flaky = () => (++tries < 3 ? 500 : "{}");
      const ended = await run({ steps: [{ function: "flaky", delivery: { retry: 5, backoffDelay: "1ms" } }] });
      expect(ended.state).toBe("succeeded");
      expect(bench.calls.map(({ headers }) => headers["x-flow-attempt"])).toEqual(["1", "2", "3"]);
    });

    test("a caught error goes on with a step, which gets the error and the event", async () => {
      functions.typed = () => ({ status: 400, body: '{"errorType":"NoStock","cause":"none left"}' });
      functions.refund = () => '{"refunded":true}';
      const ended = await run({
        steps: [
          {
            name: "charge",
            function: "typed",
            catch: [
              { errors: ["Other"], next: "end" },
              { errors: ["NoStock"], next: "refund" },
            ],
          },
          { name: "never", function: "add" },
          { name: "refund", function: "refund" },
        ],
      });
      expect(ended.state).toBe("succeeded");
      expect(bench.names()).toEqual(["typed", "refund"]);
      expect(json(bench.calls[1] as ReceivedCall)).toMatchObject({
        errorType: "NoStock",
        cause: "none left",
        step: "charge",
        status: 400,
        event: { attributes: { type: "order" }, data: { n: 1 } },
      });
    });

    test.each([
      ["the class of a status", ["Http4xx"], "succeeded"],
      ["a status", ["Http400"], "succeeded"],
      ["any error", ["*"], "succeeded"],
      ["another class", ["Http5xx"], "failed"],
    ])("errors are caught by %s", async (_by, errors, state) => {
      functions.told = () => 204;
      const ended = await run({
        steps: [{ function: "broken", catch: [{ errors, reply: { function: "told" } }] }, { function: "add" }],
      });
      expect(ended.state).toBe(state);
      await eventually("the error is told", () => state === "failed" || bench.names().includes("told"));
      expect(bench.names()).not.toContain("add");
    });

    test("errors that are caught in a circle end at a limit", async () => {
      const ended = await run({
        steps: [{ name: "a", function: "broken", catch: [{ errors: ["*"], next: "a" }] }],
      });
      expect(ended).toMatchObject({ state: "failed", error: { errorType: "Loop" } });
    }, 60_000);

    test("a transform is a step, or applies to what a step is given", async () => {
      const ended = await run({
        steps: [
          { transform: '$merge([$, {"data": {"n": data.n * 10}}])' },
          { function: "add", transform: '$merge([$, {"data": {"n": data.n + 5}}])' },
        ],
      });
      expect(await bench.result(ended)).toEqual({ n: 16 });
    });

    test("a transform that fails fails the run", async () => {
      const ended = await run({ steps: [{ name: "make", transform: '$error("no")' }] });
      expect(ended).toMatchObject({ state: "failed", error: { step: "make", errorType: "Transform" } });
    });

    test("a wait lasts as long as it says, or until a time in the event", async () => {
      const began = Date.now();
      const due = new Date(began + 150).toISOString();
      const ended = await run(
        { steps: [{ wait: "50ms" }, { wait: { until: "due" } }, { function: "add" }] },
        { n: 1 },
        { due },
      );
      expect(ended.state).toBe("succeeded");
      expect((ended.endedAt ?? 0) - began).toBeGreaterThanOrEqual(150);
    });

    test("a wait for no time at all fails the run", async () => {
      const ended = await run({ steps: [{ wait: { until: "due" } }] }, {}, { due: "tomorrow" });
      expect(ended).toMatchObject({ state: "failed", error: { errorType: "Wait" } });
    });

    test("functions get the version that they had when the run began", async () => {
      functions.versioned = () => "{}";
      await run({ steps: [{ function: "versioned" }, { function: "versioned@v1" }, { function: "add" }] }, { n: 1 });
      expect(bench.calls.map(({ version }) => version)).toEqual(["v3", "v1", undefined]);
    });

    test("a parallel without a join sends each answer to the reply", async () => {
      functions.told = () => 204;
      const ended = await run({
        branches: [{ subscriber: { function: "add" } }, { subscriber: { function: "double" } }],
        reply: { function: "told" },
      });
      expect(ended.state).toBe("succeeded");
      await eventually("both are told", () => bench.names().filter((name) => name === "told").length === 2);
      const told = bench.calls.filter(({ name }) => name === "told").map(({ text }) => text);
      expect(told.sort()).toEqual(['{"n":2}', '{"n":2}']);
    });

    test("a branch has a filter that may drop the event, and a reply of its own", async () => {
      functions.pass = ({ headers, text }) => ({
        attributes: {
          specversion: "1.0",
          id: headers["ce-id"] as string,
          source: "/f",
          type: "passed",
          datacontenttype: "application/json",
        },
        data: Buffer.from(text),
      });
      functions.drop = () => 200;
      functions.told = () => 204;
      const ended = await run({
        branches: [
          { filter: { function: "pass" }, subscriber: { function: "add" }, reply: { function: "told" } },
          { filter: { function: "drop" }, subscriber: { function: "double" }, reply: { function: "told" } },
        ],
      });
      expect(ended.state).toBe("succeeded");
      await eventually("the answer is told", () => bench.names().includes("told"));
      expect(bench.names().sort()).toEqual(["add", "drop", "pass", "told"]);
    });

    test("join all makes a list in the order of the branches, whoever is first", async () => {
      functions.slow = async () => {
        await eventually("the other has been called", () => bench.names().includes("double"));
        return '{"slow":true}';
      };
      const ended = await run({
        steps: [
          { name: "both", branches: [{ subscriber: { function: "slow" } }, { subscriber: { function: "double" } }] },
          { transform: '$merge([$, {"data": {"got": data}}])' },
        ],
      });
      expect(await bench.result(ended)).toEqual({ got: [{ slow: true }, { n: 2 }] });
    });

    test("join any goes on with the first answer", async () => {
      functions.slow = async () => {
        await eventually("the run has gone on", () => bench.names().includes("after"), 20_000);
        return '{"slow":true}';
      };
      functions.after = () => '{"after":true}';
      const ended = await run({
        steps: [
          { join: "any", branches: [{ subscriber: { function: "slow" } }, { subscriber: { function: "double" } }] },
          { function: "after" },
        ],
      });
      expect(ended.state).toBe("succeeded");
      expect(bench.calls.find(({ name }) => name === "after")?.text).toBe('{"n":2}');
    });

    test("join of a number is done with so many, and fails when they cannot be reached", async () => {
      const branch = (name: string) => ({ subscriber: { function: name }, delivery: once });
      const ended = await run({ join: 2, branches: [branch("broken"), branch("add"), branch("double")] });
      expect(await bench.result(ended)).toEqual([{ n: 2 }, { n: 2 }]);
      await bench.declare(`${flow}-f`, {
        broker: `${flow}-f`,
        join: 2,
        branches: [branch("broken"), branch("broken"), branch("add")],
      });
      await bench.send({ n: 1 }, {}, `${flow}-f`);
      expect(await bench.ended(`${flow}-f`)).toMatchObject({ state: "failed", error: { errorType: "Http400" } });
    });

    test("a branch that fails a join can be caught by its step", async () => {
      functions.told = () => '{"told":true}';
      const ended = await run({
        steps: [
          {
            branches: [{ subscriber: { function: "broken" } }, { subscriber: { function: "add" } }],
            catch: [{ errors: ["*"], next: "told" }],
          },
          { name: "told", function: "told" },
        ],
      });
      expect(ended.state).toBe("succeeded");
      expect(await bench.result(ended)).toEqual({ told: true });
    });

    test("a map calls once for each item, so many at a time, and keeps their order", async () => {
      let now = 0;
      let most = 0;
      functions.item = async (call) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 3));
        now--;
        return JSON.stringify({ item: json(call), place: Number(call.headers["x-flow-item"]) });
      };
      const items = Array.from({ length: 120 }, (_, i) => i * 2);
      const ended = await run(
        { steps: [{ map: { items: "data.list", concurrency: 3, subscriber: { function: "item" } } }] },
        { list: items },
      );
      expect(ended.state).toBe("succeeded");
      expect(await bench.result(ended)).toEqual(items.map((item, place) => ({ item, place })));
      expect(most).toBe(3);
    }, 60_000);

    test("a map over nothing gives nothing, and over one thing that thing", async () => {
      functions.item = (call) => call.text;
      const spec = { steps: [{ map: { items: "data.list", subscriber: { function: "item" } } }] };
      expect(await bench.result(await run(spec, { list: [] }))).toEqual([]);
      await bench.declare(`${flow}-1`, { ...spec, broker: `${flow}-1` });
      await bench.send({ list: [{ a: 1 }] }, {}, `${flow}-1`);
      expect(await bench.result(await bench.ended(`${flow}-1`))).toEqual([{ a: 1 }]);
    });

    test("an item that fails fails the map, and what has not begun does not begin any more", async () => {
      functions.item = (call) => (json(call) === 1 ? 400 : "{}");
      const ended = await run(
        { steps: [{ name: "each", map: { items: "data.list", concurrency: 1, subscriber: { function: "item" } } }] },
        { list: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] },
      );
      expect(ended).toMatchObject({ state: "failed", error: { step: "each", errorType: "Http400" } });
      expect(bench.calls.length).toBeLessThan(10);
    });

    test.each(["[1..20000]", "[1..1e6]", "[1..1e9]"])("a list as long as %s is refused", async (items) => {
      functions.item = () => "{}";
      const ended = await run({ steps: [{ map: { items, subscriber: { function: "item" } } }] });
      expect(ended).toMatchObject({ state: "failed", error: { errorType: "Items" } });
      expect(bench.calls).toEqual([]);
    });
  });
}
