import { expect, test } from "@jest/globals";
import { decodeFlowSpec } from "../../contract/events/flow-spec.ts";
import {
  foldPart,
  type JoinState,
  type JoinVerdict,
  openJoin,
  type PartOutcome,
  reopenJoin,
} from "../../events/flows/join.ts";
import { type Join, planFlow } from "../../events/flows/plan.ts";
import { endRun, markStep, type Run, resumeRun, staleness } from "../../events/flows/run.ts";
import { decideForgotten } from "../../events/flows/run-housekeeper.ts";
import { findCatch, readStepError } from "../../events/flows/step-error.ts";

const at = { namespace: "ns", name: "orders" };
const call = { function: "f" };

test.each<[rule: string, spec: unknown, message: RegExp]>([
  ["has steps or branches", {}, /must have one of steps and branches/],
  ["has not both", { steps: [call], branches: [{ subscriber: call }] }, /must have one of steps and branches/],
  ["has at least one step", { steps: [] }, /steps: must have at least one/],
  ["has no more than so many steps", { steps: Array(101).fill(call) }, /steps: must have at most 100 entries/],
  ["has steps that do something", { steps: [{}] }, /steps.0: must have a subscriber, transform, wait, map or branches/],
  ["has steps that do one thing", { steps: [{ ...call, wait: "1s" }] }, /steps.0: must have one of a subscriber, wait/],
  [
    "names steps once",
    {
      steps: [
        { ...call, name: "a" },
        { ...call, name: "a" },
      ],
    },
    /steps.1.name: a is taken/,
  ],
  ["does not take the platform's names", { steps: [{ ...call, name: "end" }] }, /steps.0.name: end is taken/],
  [
    "knows the names that others would have",
    { steps: [{ ...call, name: "step-2" }, call] },
    /steps.1.name: step-2 is taken/,
  ],
  [
    "goes on with steps that are there",
    { steps: [{ ...call, catch: [{ errors: ["*"], next: "b" }] }] },
    /steps.0.catch.0.next: there is no step b/,
  ],
  [
    "catches to somewhere",
    { steps: [{ ...call, catch: [{ errors: ["*"] }] }] },
    /steps.0.catch.0: must have one of next and reply/,
  ],
  [
    "has subscribers that are sound",
    { steps: [{ ref: { kind: "Pod", name: "x" } }] },
    /steps.0.ref.kind: must be Function/,
  ],
  ["has no fields that nobody knows", { steps: [{ ...call, when: 1 }] }, /when/],
  ["joins branches only", { steps: [{ ...call, join: "all" }] }, /steps.0.join: must not be there without branches/],
  ["joins as many as there are", { join: 3, branches: [{ subscriber: call }] }, /join: must be at most 1/],
  ["joins by a known word", { join: "some", branches: [{ subscriber: call }] }, /join: must be all, any or a number/],
  ["has no fan-out in a branch", { branches: [{ subscriber: call, branches: [] }] }, /branches/],
  ["has no fan-out in a map", { steps: [{ map: { items: "data", subscriber: call, map: {} } }] }, /map/],
  ["maps with a subscriber", { steps: [{ map: { items: "data" } }] }, /steps.0.map.subscriber: is required/],
  [
    "maps some at a time",
    { steps: [{ map: { items: "data", concurrency: 0, subscriber: call } }] },
    /concurrency: must be at least 1/,
  ],
  ["waits for a duration", { steps: [{ wait: "soon" }] }, /steps.0.wait: must be a duration/],
  ["does not wait for ever", { steps: [{ wait: "1000h" }] }, /steps.0.wait: must be a duration/],
  ["waits in one way", { steps: [{ wait: { duration: "1s", until: "due" } }] }, /one of duration and until/],
  ["filters a broker's events", { filters: [], steps: [call] }, /broker: is required for filters/],
  ["has filters that are sound", { broker: "b", filters: [{ odd: {} }], steps: [call] }, /filters\[0\]/],
  ["ends in time", { timeout: "-1s", steps: [call] }, /timeout: must be a duration/],
  [
    "has deliveries that are sound",
    { steps: [{ ...call, delivery: { retry: -1 } }] },
    /steps.0.delivery.retry: must be a whole number/,
  ],
])("a flow %s", (_rule, spec, message) => {
  expect(() => planFlow(decodeFlowSpec(spec), at)).toThrow(message);
});

test("Knative's fields are read as they are", () => {
  const plan = planFlow(
    decodeFlowSpec({
      channelTemplate: { apiVersion: "messaging.knative.dev/v1", kind: "InMemoryChannel" },
      steps: [
        { ref: { apiVersion: "serving.knative.dev/v1", kind: "Service", name: "first" }, delivery: { retry: 3 } },
        {
          ref: { apiVersion: "serving.knative.dev/v1", kind: "Service", name: "second", namespace: "other" },
          uri: "/x",
        },
        { uri: "http://example.com/" },
      ],
      reply: { ref: { apiVersion: "eventing.knative.dev/v1", kind: "Broker", name: "default" } },
    }),
    at,
  );
  expect(plan.steps).toMatchObject([
    {
      name: "step-1",
      kind: "call",
      call: { subscriber: { function: { name: "first", namespace: "ns" } }, delivery: { policy: { retries: 3 } } },
    },
    { call: { subscriber: { function: { name: "second", namespace: "other" }, path: "/x" } } },
    { call: { subscriber: { kind: "uri", uri: "http://example.com/" } } },
  ]);
  expect(plan.reply?.subscriber).toEqual({ kind: "broker", broker: { namespace: "ns", name: "default" } });
  expect(plan.timeoutMs).toBe(24 * 3600_000);
  const parallel = planFlow(
    decodeFlowSpec({ branches: [{ filter: { ref: { kind: "Service", name: "f" } }, subscriber: call, reply: call }] }),
    at,
  );
  expect(parallel.steps).toMatchObject([{ kind: "parallel", join: "none", branches: [{ name: "branch-1" }] }]);
});

/** `+0` is part 0 that is done, `-` one that failed, `o` an empty one. */
const OUTCOMES: Record<string, PartOutcome> = { "+": "done", "-": "failed", o: "empty" };
function fold(join: Join, count: number, told: string): { state: JoinState; verdicts: string[] } {
  let state = openJoin(1, join, count);
  const verdicts = told.split(" ").map((each) => {
    const folded = foldPart(state, Number(each[1]), OUTCOMES[each[0] as string] as PartOutcome);
    state = folded.state;
    return folded.verdict.kind;
  });
  return { state, verdicts };
}

test.each<[rule: string, join: Join, count: number, told: string, verdicts: JoinVerdict["kind"][]]>([
  ["all waits for all", "all", 3, "+2 +0 +1", ["open", "open", "joined"]],
  ["all leaves out the empty ones", "all", 2, "o0 +1", ["open", "joined"]],
  ["all of nothing is nothing", "all", 2, "o0 o1", ["open", "empty"]],
  ["all fails with the first failure", "all", 3, "+0 -1 +2", ["open", "failed", "open"]],
  ["any takes the first", 1, 3, "+1 +0 -2", ["joined", "open", "open"]],
  ["any passes failures over", 1, 3, "-0 o1 +2", ["open", "open", "joined"]],
  ["any fails when all have", 1, 2, "-0 -1", ["open", "failed"]],
  ["any of nothing is nothing", 1, 2, "o0 o1", ["open", "empty"]],
  ["a number is reached", 2, 3, "+0 -1 +2", ["open", "open", "joined"]],
  ["a number cannot be reached any more", 2, 3, "-0 -1 +2", ["open", "failed", "open"]],
  ["without a join all are waited for", "none", 2, "+0 +1", ["open", "empty"]],
  ["without a join a failure shows at the end", "none", 3, "-0 +1 o2", ["open", "open", "failed"]],
  ["what is told twice counts once", "all", 2, "+0 +0 +1", ["open", "open", "joined"]],
  ["the part that decided decides again", "all", 2, "+0 +1 +1 +0", ["open", "joined", "joined", "open"]],
  ["a part that there is not is no matter", "all", 1, "+7 +0", ["open", "joined"]],
])("join: %s", (_rule, join, count, told, verdicts) => {
  expect(fold(join, count, told).verdicts).toEqual(verdicts);
});

test("what is done after a join has failed is known when it is opened again", () => {
  expect(reopenJoin(fold("all", 3, "-1 +0 +2").state).parts).toBe("+.+");
  // One that is joined stays as it was joined.
  expect(fold(2, 3, "+1 +0 +2").state.parts).toBe("++.");
});

test("a join that is opened again has the failed parts before it, and not the others", () => {
  const { state } = fold("all", 3, "+0 -1");
  const again = reopenJoin(state);
  expect(again).toEqual({ visit: 1, join: "all", parts: "+.." });
  expect(foldPart(foldPart(again, 1, "done").state, 2, "done").verdict.kind).toBe("joined");
});

test.each([
  [
    "the type that a function names",
    "x",
    { status: 500, body: '{"errorType":"NoStock","cause":"none"}' },
    { errorType: "NoStock", cause: "none", status: 500 },
  ],
  [
    "the status",
    "answered 404",
    { status: 404, body: "gone" },
    { errorType: "Http404", cause: "answered 404", status: 404 },
  ],
  [
    "a type that is none",
    "answered 400",
    { status: 400, body: '{"errorType":7}' },
    { errorType: "Http400", status: 400 },
  ],
  ["JSON that is none", "answered 400", { status: 400, body: '{"errorType"' }, { errorType: "Http400", status: 400 }],
  [
    "an answer of 200 that is no event",
    "malformed",
    { status: 200, body: '{"errorType":"X"}' },
    { errorType: "BadReply", status: 200 },
  ],
  ["no answer in time", "no answer within 60 s: timed out", undefined, { errorType: "Timeout" }],
  ["an age that it may not have", "no answer; the event is older than it may be", undefined, { errorType: "Expired" }],
  ["what its own transform says", "transform: gives nothing", undefined, { errorType: "Transform" }],
  ["no answer", "connection refused", undefined, { errorType: "Unreachable" }],
])("a failure has %s", (_what, reason, answer, expected) => {
  const given = answer && { status: answer.status, body: Buffer.from(answer.body) };
  expect(readStepError(reason, given)).toMatchObject(expected);
});

test("the first clause that has the error catches it", () => {
  const catches = [
    { errors: ["A"], next: "a" },
    { errors: ["Http5xx", "B"], next: "b" },
    { errors: ["*"], next: "c" },
  ];
  const by = (errorType: string, status?: number) =>
    findCatch(catches, { errorType, cause: "", ...(status !== undefined && { status }) })?.place;
  expect([by("A", 500), by("B"), by("Http503", 503), by("C", 400)]).toEqual([0, 1, 1, 2]);
});

const RUN: Run = {
  flow: "orders",
  state: "running",
  startedAt: 0,
  deadlineAt: 1_000,
  startedBy: { source: "/s", id: "1", type: "t" },
  pins: { a: "v1" },
  round: 0,
  steps: {},
  joins: {},
};

test("a step counts how often it was begun, from its first visit on", () => {
  const once = markStep(RUN, "a", 1, "e1", 5);
  const twice = markStep(once, "a", 1, "e1", 9);
  expect(twice.steps.a).toEqual({ visit: 1, ref: "e1", at: 5, tries: 2 });
  expect(markStep(twice, "a", 4, "e9", 11).steps.a).toEqual({ visit: 4, ref: "e9", at: 11, tries: 1 });
});

test.each<[rule: string, run: Run | undefined, round: number, now: number, says: RegExp | undefined]>([
  ["what runs is looked at", RUN, 0, 999, undefined],
  ["what is late is not", RUN, 0, 1_000, /too long/],
  ["what is forgotten is not", undefined, 0, 0, /not kept/],
  ["what has ended is not", { ...RUN, state: "cancelled" }, 0, 0, /cancelled/],
  ["what was before a resumption is not", { ...RUN, round: 1 }, 0, 0, /resumed/],
])("of events of a run, %s", (_rule, run, round, now, says) => {
  const said = staleness(run, round, now);
  if (says) expect(said).toMatch(says);
  else expect(said).toBeUndefined();
});

test("a run that has stopped goes on where it stopped, with functions as they are now", () => {
  const error = { step: "b", errorType: "X", cause: "" };
  const begun = markStep(markStep(RUN, "a", 1, "e1", 5), "b", 2, "e2", 6);
  const failed = endRun(begun, { state: "failed", error }, 7);
  const { run, step } = resumeRun(failed, ["a", "b"], 500, 100);
  expect(step).toBe("b");
  expect(run).toMatchObject({ state: "running", round: 1, deadlineAt: 600, pins: {}, steps: begun.steps });
  expect(run).not.toHaveProperty("endedAt");
  expect(run).not.toHaveProperty("error");
  expect(resumeRun(endRun(begun, { state: "timed-out" }, 7), ["a", "b"], 500, 100).step).toBe("b");
  expect(() => resumeRun(RUN, ["a"], 1, 1)).toThrow(/running/);
  expect(() => resumeRun(endRun(begun, { state: "succeeded" }, 7), ["a", "b"], 1, 1)).toThrow(/succeeded/);
  expect(() => resumeRun(failed, ["a"], 1, 1)).toThrow(/no step b any more/);
});

test("what has ended stays as it ended", () => {
  const failed = endRun(RUN, { state: "cancelled" }, 7);
  expect(endRun(failed, { state: "succeeded" }, 9)).toBe(failed);
});

test("ended runs are forgotten by age, and by number in their flow", () => {
  const named = (name: string, flow: string, endedAt?: number) => ({
    namespace: "ns",
    name,
    run: { ...RUN, flow, ...(endedAt !== undefined && { state: "succeeded" as const, endedAt }) },
  });
  const runs = [
    named("a", "x", 100),
    named("b", "x", 300),
    named("c", "x", 200),
    named("d", "y", 100),
    named("e", "x"),
    named("f", "y", 10),
  ];
  expect(
    decideForgotten(runs, { maxAgeMs: 250, maxRuns: 2 }, 300)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["a", "f"]);
});
