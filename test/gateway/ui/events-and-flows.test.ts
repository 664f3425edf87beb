import { expect, test } from "@jest/globals";
import type { EventReport, EventSummary } from "../../../contract/events/event-report.ts";
import type { RunStepReport } from "../../../contract/events/flow-run.ts";
import { decodeReplayRequest } from "../../../contract/events/replay-spec.ts";
import { decodeTriggerSpec } from "../../../contract/events/trigger-spec.ts";
import {
  ledgerCommand,
  ledgerPath,
  readFilter,
  replayOf,
  takeFollowed,
} from "../../../gateway/ui/browser/screens/events/ledger-filter.ts";
import { LatestEvents, lookedAt } from "../../../gateway/ui/browser/screens/events/looked-at.ts";
import { ownerOf } from "../../../gateway/ui/browser/screens/events/owner.ts";
import {
  EMPTY_REPLAY,
  type ReplayForm,
  replayAct,
  replayProblems,
  replayRequestOf,
} from "../../../gateway/ui/browser/screens/events/replay-form.ts";
import {
  declareAct,
  draftProblems,
  removeAct,
  suspendAct,
} from "../../../gateway/ui/browser/screens/events/resource-acts.ts";
import { goesTo } from "../../../gateway/ui/browser/screens/events/subscriber.ts";
import { timelineOf } from "../../../gateway/ui/browser/screens/events/timeline.ts";
import { EMPTY_FORM, specOf } from "../../../gateway/ui/browser/screens/events/trigger-form.ts";
import { readBody, startAct } from "../../../gateway/ui/browser/screens/flows/acts.ts";
import { stepBars } from "../../../gateway/ui/browser/screens/flows/step-bars.ts";

const NOON = "2030-01-31T12:00:00.000Z";
const at = (seconds: number) => new Date(Date.parse(NOON) + seconds * 1_000).toISOString();

const event: EventSummary = {
  ref: "7",
  namespace: "ns",
  broker: "default",
  id: "a",
  source: "/s",
  type: "order.created",
  via: "http",
  arrivedAt: NOON,
  dataBytes: 2,
  state: "dead",
  counts: { dead: 1 },
};
const report: EventReport = {
  ...event,
  attributes: {},
  headers: [],
  hops: 255,
  verdicts: [
    { trigger: "function/ns/f", matched: true },
    { trigger: "function/ns/g", matched: false, reason: "type: is another" },
  ],
  deliveries: [
    {
      id: "d",
      trigger: "function/ns/f",
      state: "dead",
      tries: 3,
      reason: "that was the last",
      attempts: [
        { at: at(1), durationMs: 5, status: 503, version: "v1" },
        { at: at(2), durationMs: 5, error: "no connection" },
      ],
    },
  ],
};

test("the address says which events are shown, in the request, the command and the replay of them", () => {
  const filter = readFilter(new URLSearchParams("type=order.created&state=dead&since=1h&namespace=ns&other=1"));
  expect(ledgerPath(filter, false)).toBe(
    "/system/events?type=order.created&state=dead&namespace=ns&since=1h&limit=100",
  );
  // What is followed begins now.
  expect(ledgerPath(filter, true)).toBe("/system/events?type=order.created&state=dead&namespace=ns&follow=true");
  expect(ledgerCommand(filter, false)).toBe("faaslane events list --type order.created --state dead --since 1h -n ns");
  expect(ledgerCommand(filter, true)).toBe("faaslane events tail --type order.created --state dead -n ns");
  expect(replayOf(filter)).toMatchObject({ type: "order.created", state: "dead", since: "1h" });
});

test("of an event that is followed the latest word counts, and new ones come first", () => {
  const later = { ...event, ref: "8" };
  const told = takeFollowed(takeFollowed(takeFollowed([], event), later), { ...event, state: "delivered" });
  expect(told.map(({ ref, state }) => [ref, state])).toEqual([
    ["8", "dead"],
    ["7", "delivered"],
  ]);
  const many = Array.from({ length: 600 }, (_, n) => ({ ...event, ref: `${n}` }));
  expect(many.reduce(takeFollowed, [] as EventSummary[])).toHaveLength(500);
});

test("an event's timeline tells of its arrival, the verdicts, each try, and why it was given up", () => {
  expect(timelineOf(report).map(({ title, text, tone }) => [title, text, tone])).toEqual([
    ["Arrived", "at broker default, by http", "good"],
    ["Matched", "function/ns/f", "good"],
    ["Not wanted", "function/ns/g: type: is another", "idle"],
    ["Try 2", "function/ns/f: answered 503 in 5 ms by v1", "warn"],
    ["Try 3", "function/ns/f: no connection in 5 ms", "warn"],
    ["Given up", "function/ns/f: that was the last", "bad"],
  ]);
  const { deliveries: _, verdicts: __, ...unwanted } = report;
  expect(timelineOf({ ...unwanted, state: "unmatched", verdicts: [], deliveries: [] }).at(-1)?.title).toBe("Unmatched");
  const waits = { ...report.deliveries[0], state: "retrying", nextAttemptAt: at(60) } as EventReport["deliveries"][0];
  expect(timelineOf({ ...report, deliveries: [waits] }).at(-1)).toMatchObject({ title: "Next try", tone: "busy" });
});

test("of an event a trigger's own verdict and delivery are told; what has ended is asked for once", async () => {
  expect(lookedAt(report, "function/ns/f")).toMatchObject({
    matched: true,
    state: "dead",
    tries: 3,
    lastAnswer: "no connection in 5 ms",
    why: "that was the last",
  });
  expect(lookedAt(report, "function/ns/g")).toMatchObject({ matched: false, tries: 0, why: "type: is another" });
  const asked: string[] = [];
  const ask = async (path: string) => {
    asked.push(path);
    return path.includes("ref") ? report : { items: [event] };
  };
  const latest = new LatestEvents();
  await latest.read("function/ns/f", "ns", ask);
  await latest.read("function/ns/f", "ns", ask);
  expect(asked.map((path) => path.includes("ref"))).toEqual([false, true, false]);
});

test.each<[string, Partial<ReplayForm>, object, string]>([
  ["all", {}, { all: true }, "faaslane events replay --all"],
  [
    "single events",
    { events: ["7", "8"], type: "left out", name: "again" },
    { events: ["7", "8"], name: "again" },
    "faaslane events replay 7 8 --name again",
  ],
  [
    "a range, to a version",
    { state: "dead", since: "1h", to: "mail@v3", rate: "5", replies: true },
    { states: ["dead"], since: "1h", to: "mail@v3", rate: 5, replies: true },
    "faaslane events replay --state dead --since 1h --to mail@v3 --rate 5 --replies",
  ],
])("a replay of %s is what the gateway takes", (_what, given, request, cli) => {
  const form = { ...EMPTY_REPLAY, ...given };
  expect(replayProblems(form)).toEqual([]);
  expect(replayRequestOf(form)).toEqual(request);
  expect(decodeReplayRequest(replayRequestOf(form))).toEqual(request);
  expect(replayAct(form, undefined, 3)).toMatchObject({ cli, title: "Replay 3 events" });
});

test.each([
  [{ rate: "fast" }, "Events a second: must be a number above 0, of at most 10000"],
  [{ rate: "10001" }, "Events a second: must be a number above 0, of at most 10000"],
  [{ name: "No" }, "Name: must be at most 63 of a-z, 0-9 and -, which neither begins nor ends it"],
])("the replay %j is told its problem before it is sent", (given, problem) => {
  expect(replayProblems({ ...EMPTY_REPLAY, ...given })).toEqual([problem]);
});

test.each([
  [
    { to: "mail@v3", type: "order.*" },
    { filters: [{ prefix: { type: "order." } }], subscriber: { function: "mail@v3" } },
  ],
  [
    { to: "broker/b", source: "*/x" },
    { filters: [{ suffix: { source: "/x" } }], subscriber: { broker: "b" } },
  ],
  [
    { to: "https://a.example/x", type: "a", filter: "EXISTS b", broker: "c", retry: "2" },
    {
      broker: "c",
      filters: [{ exact: { type: "a" } }, { cesql: "EXISTS b" }],
      subscriber: { uri: "https://a.example/x" },
      delivery: { retry: 2 },
    },
  ],
])("the form %j is the trigger %j", (form, spec) => {
  expect(specOf({ ...EMPTY_FORM, ...form })).toEqual(spec);
  expect(() => decodeTriggerSpec(spec)).not.toThrow();
});

test("what is declared as JSON is read as it is written, and its problems are named", () => {
  expect(draftProblems("ship", "{}")).toEqual([]);
  expect(draftProblems("Ship!", "[1]")).toEqual([
    "Name: must be at most 63 of a-z, 0-9 and -, which neither begins nor ends it",
    "JSON: must be an object",
  ]);
  expect(draftProblems("a", "{")[0]).toMatch(/^JSON: /);
});

test("declaring, suspending and removing name their request and their command", () => {
  const name = { kind: "trigger", name: "ship", namespace: "ns" } as const;
  expect(declareAct(name, { a: "it's" }, true)).toMatchObject({
    cli: `echo '{"a":"it'\\''s"}' | faaslane triggers add ship --file - -n ns`,
    request: { method: "PUT", path: "/system/triggers/ship?namespace=ns", body: { a: "it's" } },
  });
  expect(suspendAct(name, { a: 1 }).request.body).toEqual({ a: 1, suspend: true });
  expect(removeAct({ ...name, kind: "flow" }, true)).toMatchObject({
    isDangerous: true,
    cli: "faaslane flows remove ship -n ns --force",
    request: { method: "DELETE", path: "/system/flows/ship?namespace=ns&force=true" },
  });
});

test.each([
  ["function/ns/f", true],
  ["function/ns/f@v3", true],
  ["function/other/f", false],
  ["function/ns/f2", false],
  ["https://function/ns/f", false],
])("%s goes to the function f of ns: %s", (subscriber, expected) => {
  expect(goesTo(subscriber, { name: "f", namespace: "ns" })).toBe(expected);
});

test("a run is started with the body that was written, if it is one", () => {
  expect(startAct("order", undefined, '{"a":1}').request).toMatchObject({ body: { a: 1 } });
  expect(startAct("order", undefined, " ").request).not.toHaveProperty("body");
  expect(readBody("{")).toHaveProperty("problem");
});

test("the time of a run's steps is drawn as parts of the whole, tries that failed as such", () => {
  const step = { kind: "call", tries: 1, attempts: [] };
  const steps: RunStepReport[] = [
    {
      ...step,
      name: "a",
      state: "done" as const,
      startedAt: at(0),
      attempts: [
        { at: at(0), durationMs: 1_000, status: 500 },
        { at: at(2), durationMs: 3_000, status: 200 },
      ],
    },
    { ...step, name: "b", state: "running" as const, startedAt: at(5) },
    { ...step, name: "c", state: "pending" as const },
  ];
  const [a, b, c] = stepBars({ startedAt: NOON, steps }, Date.parse(at(10)));
  expect(a).toMatchObject({ durationMs: 5_000 });
  expect(a?.bars).toEqual([
    { from: 0, width: 0.1, isGood: false },
    { from: 0.2, width: 0.3, isGood: true },
  ]);
  expect([b?.bars, b?.durationMs]).toEqual([[{ from: 0.5, width: 0.5, isGood: true }], 5_000]);
  expect([c?.bars, c?.durationMs]).toEqual([[], undefined]);
});

test("what others declare is not changed here, and where it is changed is told", () => {
  const order = { name: "order", namespace: "shop" };
  for (const kind of ["broker", "trigger", "source", "sink", "flow"] as const) {
    expect(ownerOf({ kind, ...order, origin: "object" })?.command).toBe(
      `kubectl edit ${kind}s.openfaas.com order -n shop`,
    );
    expect(ownerOf({ kind, ...order })).toBeUndefined();
  }
  expect(ownerOf({ kind: "trigger", ...order, origin: "trigger" })).toBeUndefined();
  expect(ownerOf({ kind: "source", ...order, functionName: "pay" })?.to).toBe("/functions/shop/pay/settings");
  for (const origin of ["flow", "replay", "sink"]) {
    expect(ownerOf({ kind: "trigger", ...order, origin })?.by).toContain("declare");
  }
});
