import { afterEach, expect, test } from "@jest/globals";
import type { FunctionEvent } from "../../../gateway/core/known-function.ts";
import { FunctionPoller } from "../../../gateway/polling/function-poller.ts";
import type { ProviderReads } from "../../../gateway/polling/function-reader.ts";
import { eventually } from "../../support/eventually.ts";

const SILENT = { debug() {}, info() {}, warn() {} };
const F = { name: "f", namespace: "ns" };

let poller: FunctionPoller | undefined;

afterEach(() => poller?.stop());

/** A poller of lists that come one after the other, the last of them again and again, and what it has told. */
function poll(lists: readonly (string | Promise<string>)[], more: Partial<ProviderReads> = {}) {
  const told: string[] = [];
  let asked = 0;
  const say = (event: FunctionEvent) =>
    told.push(
      event.type === "heartbeat" ? event.type : `${event.type} ${event.function.name} ${event.function.way?.available}`,
    );
  const started = new FunctionPoller({
    reads: {
      namespaces: async () => ["ns"],
      functionsIn: async () => await (lists[asked++] ?? (lists.at(-1) as string)),
      functionOf: async () => undefined,
      ...more,
    },
    sink: { begin: () => told.push("begin"), apply: say },
    defaultNamespace: "ns",
    log: SILENT,
  });
  poller = started;
  started.start();
  return { poller: started, told, asked: () => asked };
}

const listOf = (availableReplicas: number) => JSON.stringify([{ name: "f", replicas: 1, availableReplicas }]);

test("what is known at first is told as a whole", async () => {
  const { told } = poll([listOf(1)]);
  await eventually("it is told", () => told.length === 3);
  expect(told).toEqual(["begin", "snapshot f 1", "heartbeat"]);
});

test("if there is nothing at first, that is asked twice", async () => {
  const { told } = poll(["[]", listOf(1)]);
  await eventually("it is told", () => told.length === 3);
  expect(told).toEqual(["begin", "snapshot f 1", "heartbeat"]);
  poller?.stop();
  const nothing = poll(["[]"]);
  await eventually("it is believed", () => nothing.told.length === 2);
  expect(nothing.told).toEqual(["begin", "heartbeat"]);
});

test("once it is stopped nothing is told, whatever is under way", async () => {
  const late = Promise.withResolvers<string>();
  const { poller: stopped, told, asked } = poll([listOf(1), late.promise]);
  await eventually("the second list is asked for", () => asked() === 2);
  stopped.stop();
  told.length = 0;
  late.resolve(listOf(7));
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  expect(told).toEqual([]);
});

test("nor is it after another start", async () => {
  const late = Promise.withResolvers<string>();
  const { poller: stopped, told, asked } = poll([listOf(1), late.promise, listOf(2)]);
  await eventually("the second list is asked for", () => asked() === 2);
  stopped.stop();
  stopped.start();
  told.length = 0;
  await eventually("it is told anew", () => told.includes("heartbeat"));
  late.resolve(listOf(7));
  await eventually("lists go on", () => asked() > 4);
  expect(told).toEqual(["begin", "snapshot f 2", "heartbeat"]);
});

test("those who ask for a function at the same time share the question", async () => {
  let questions = 0;
  const functionOf = async () => {
    questions++;
    await new Promise(setImmediate);
    return { ...F, replicas: 1, availableReplicas: 4, labels: {}, annotations: {}, envVars: {} };
  };
  const { poller: asked, told } = poll([listOf(1)], { functionOf });
  await eventually("it is told", () => told.includes("heartbeat"));
  const answers = await Promise.all(Array.from({ length: 50 }, () => asked.refresh(F)));
  expect([questions, answers.at(-1)?.way?.available, told.at(-1)]).toEqual([1, 4, "changed f 4"]);
});

test("it looks at a function for as long as that is waited for", async () => {
  let questions = 0;
  const functionOf = async () => {
    questions++;
    return { ...F, replicas: 1, availableReplicas: 0, labels: {}, annotations: {}, envVars: {} };
  };
  const { poller: asked, told, asked: lists } = poll([listOf(0)], { functionOf });
  await eventually("it is told", () => told.includes("heartbeat"));
  let waiting = true;
  for (let i = 0; i < 10; i++) asked.watch(F, () => waiting);
  const before = questions;
  await eventually("it has looked", () => questions >= before + 3);
  waiting = false;
  asked.watch(F, () => waiting);
  const looks = questions;
  const listed = lists();
  await eventually("lists go on", () => lists() >= listed + 2);
  expect(questions).toBeLessThanOrEqual(looks + 1);
});
