import { describe, expect, test } from "@jest/globals";
import type { ObjectCondition, ObjectProblem } from "../../contract/events/event-object.ts";
import {
  brokerConditions,
  flowConditions,
  sinkConditions,
  sourceConditions,
  type Target,
  triggerConditions,
} from "../../events/objects/object-conditions.ts";
import type { SourceStatus } from "../../events/sources/source.ts";

const told = (conditions: readonly ObjectCondition[]) =>
  conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`);
const there: Target = { uri: "/broker/shop/default" };
const missing: Target = { uri: "/x", fault: { reason: "NoFunction", message: "function f does not exist" } };
const invalid: ObjectProblem = { reason: "Invalid", message: "filters[0]: no", keeps: true };
const trigger = {
  broker: there,
  subscriber: there,
  deadLetter: undefined,
  problem: undefined,
  stopped: undefined,
  suspended: false,
};
const status = (state: SourceStatus["state"], problem?: string): SourceStatus => ({
  state,
  events: 0,
  errors: 0,
  ...(problem !== undefined && { problem }),
});

describe("what objects say of themselves", () => {
  test.each([
    ["is ready", { problem: undefined, trigger }, "Ready True Ready"],
    ["lacks its broker", { problem: undefined, trigger: { ...trigger, broker: missing } }, "Ready False NoFunction"],
    [
      "is suspended",
      { problem: undefined, trigger: { ...trigger, stopped: "suspended", suspended: true } },
      "Ready False Suspended",
    ],
    ["has stopped", { problem: undefined, trigger: { ...trigger, stopped: "410" } }, "Ready False Stopped"],
    ["is unsound", { problem: undefined, trigger: { ...trigger, problem: "no" } }, "Ready False Invalid"],
    ["is invalid, with an older one at work", { problem: invalid, trigger }, "Ready False Invalid"],
    ["is about to be declared", { problem: undefined, trigger: undefined }, "Ready Unknown Pending"],
  ])("a trigger that %s", (_what, facts, ready) => {
    expect(told(triggerConditions(facts))[0]).toBe(ready);
  });

  test("a trigger has Knative's conditions", () => {
    const facts = { problem: undefined, trigger: { ...trigger, subscriber: missing, deadLetter: there } };
    expect(told(triggerConditions(facts))).toEqual([
      "Ready False NoFunction",
      "BrokerReady True Ready",
      "SubscriberResolved False NoFunction",
      "DeadLetterSinkResolved True Resolved",
      "DependencyReady True NoDependency",
      "SubscriptionReady True Subscribed",
    ]);
  });

  test("what never counted has only the reason; what goes on is told to", () => {
    const [ready, ...rest] = triggerConditions({ problem: invalid, trigger: undefined });
    expect([ready?.message, rest]).toEqual(["filters[0]: no", []]);
    expect(triggerConditions({ problem: invalid, trigger })[0]?.message).toContain("what was declared before goes on");
  });

  test.each<[SourceStatus, string]>([
    [status("connected"), "Ready True Ready"],
    [status("failing", "no route"), "Ready False Failing"],
    [status("suspended"), "Ready False Suspended"],
    [status("connecting"), "Ready Unknown Connecting"],
    [status("elsewhere"), "Ready Unknown Elsewhere"],
  ])("a source by its state: %j", (given, ready) => {
    const source = { broker: there, status: given };
    expect(told(sourceConditions({ problem: undefined, source }))[0]).toBe(ready);
  });

  test("a sink, a broker and a flow", () => {
    const failing = { state: "failing", problem: "refused", sent: 0, errors: 1 } as const;
    expect(told(sinkConditions({ problem: undefined, sink: failing }))).toEqual([
      ...["Ready False Failing", "Connected False Failing"],
    ]);
    expect(told(brokerConditions(undefined, "/broker/shop/a"))).toEqual([
      ...["Ready True Ready", "Addressable True Addressable"],
    ]);
    const flow = { broker: undefined, subscribers: [there, missing], unsound: undefined, suspended: false };
    expect(told(flowConditions({ problem: undefined, flow }))).toEqual([
      ...["Ready False NoFunction", "SubscribersResolved False NoFunction", "StepsReady True Ready"],
    ]);
  });

  test("no message is longer than an object takes, and none is empty", () => {
    const long = { ...invalid, message: "x".repeat(50_000) };
    for (const { message } of triggerConditions({ problem: long, trigger: { ...trigger, stopped: "" } })) {
      expect(message.length).toBeGreaterThan(0);
      expect(message.length).toBeLessThanOrEqual(2_000);
    }
  });
});
