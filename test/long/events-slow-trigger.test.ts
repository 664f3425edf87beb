import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { EventStack, embeddedPlace, type StackPlace } from "../support/events/event-stack.ts";
import { HttpSubscriber } from "../support/events/subscriber.ts";
import { eventually } from "../support/eventually.ts";

const EVENTS = 400;
const GAP_MS = 3;
/** The machine does other things, too: the best of so many rounds counts. */
const ROUNDS = 6;
const MOST = 1.5;

let place: StackPlace;
let stack: EventStack;
let quick: HttpSubscriber;
let slow: HttpSubscriber;
let hang = true;

beforeAll(async () => {
  place = await embeddedPlace();
  [stack, quick, slow] = await Promise.all([EventStack.open(place), HttpSubscriber.open(), HttpSubscriber.open()]);
  slow.answer = async () => {
    while (hang) await new Promise((resolve) => setTimeout(resolve, 50));
    return { status: 204 };
  };
});
afterAll(async () => {
  hang = false;
  await stack.close();
  await Promise.all([quick.close(), slow.close(), place.remove()]);
});

/** The 99th percentile of milliseconds from an event's arrival to its delivery to the quick one. */
async function p99(): Promise<number> {
  const sentAt = new Map<string, number>();
  const before = quick.received.length;
  for (let i = 0; i < EVENTS; i++) {
    const at = performance.now();
    const [id] = await stack.send();
    sentAt.set(id as string, at);
    await new Promise((resolve) => setTimeout(resolve, GAP_MS));
  }
  await eventually("all have arrived", () => quick.received.length >= before + EVENTS, 60_000);
  const times = quick.received
    .slice(before)
    .map(({ at, headers }) => at - (sentAt.get(headers["ce-id"] as string) as number))
    .sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] as number;
}

test("a trigger whose subscriber hangs does not delay another: its p99 is at most 1.5 times what it is alone", async () => {
  await stack.declare("quick", { subscriber: { uri: quick.url } });
  await stack.engine.ready;
  await p99();
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const alone = await p99();
    await stack.declare("slow", { subscriber: { uri: slow.url } });
    const beside = await p99();
    ratios.push(beside / alone);
    if (beside <= alone * MOST) break;
    await stack.store.resources.remove({ kind: "trigger", namespace: "shop", name: "slow" });
    await stack.open.refresh();
  }
  expect(slow.received.length).toBeGreaterThan(0);
  expect(Math.min(...ratios)).toBeLessThanOrEqual(MOST);
}, 120_000);
