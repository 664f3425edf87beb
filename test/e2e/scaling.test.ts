import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { decodeScalingReport } from "../../contract/scaling.ts";
import { Callers } from "../support/callers.ts";
import { eventually } from "../support/eventually.ts";
import { ScalingPlatform } from "../support/scaling-platform.ts";

/** Replicas follow the load, on the real platform: gateway, provider and watchdogs over real sockets. */
let on: ScalingPlatform;

beforeAll(async () => {
  on = await ScalingPlatform.start();
}, 60_000);

afterAll(() => on?.stop());

/** Four calls in flight each; averages over as little as they may be. */
const FOUR_EACH = {
  "com.openfaas.scale.type": "capacity",
  "com.openfaas.scale.target": "4",
  "com.openfaas.scale.target-proportion": "1",
  "com.openfaas.scale.max": "5",
  "com.faaslane.scale.window": "6s",
  "com.faaslane.scale.down-delay": "0s",
};

const FULL_SCALE_WITHIN_MS = 6_000;

test("a step of the load to ten times as much is followed within seconds, without a failed call", async () => {
  await on.deploy("step", { labels: FOUR_EACH });
  await on.whenScaled("step", 1);
  const callers = new Callers(on.url("step", "?ms=100"));
  callers.set(2);
  await on.whenSeen("step", 3);
  expect(await on.replicas("step")).toEqual({ wanted: 1, ready: 1 });
  callers.set(20);
  const tookMs = await on.whenScaled("step", 5);
  await callers.stop();
  expect(callers.failures).toEqual([]);
  expect(callers.done).toBeGreaterThan(100);
  process.stdout.write(`time to full scale, from 1 to 5 replicas: ${(tookMs / 1000).toFixed(1)} s\n`);
  expect(tookMs).toBeLessThan(FULL_SCALE_WITHIN_MS);
  await on.remove("step");
}, 60_000);

test("replicas follow a ramp up and down, without a failed call", async () => {
  await on.deploy("ramp", { labels: FOUR_EACH });
  await on.whenScaled("ramp", 1);
  const begun = Date.now();
  const callers = new Callers(on.url("ramp", "?ms=50"));
  const stay = async (parallel: number) => {
    callers.set(parallel);
    await on.whenSeen("ramp", 3);
  };
  for (const parallel of [2, 6, 10]) await stay(parallel);
  await on.whenScaled("ramp", 3);
  const top = Date.now();
  for (const parallel of [6, 2]) await stay(parallel);
  await on.whenScaled("ramp", 1);
  await callers.stop();
  expect(callers.failures).toEqual([]);

  const counts = (await on.history("ramp", begun)).map(({ t, replicas }) => ({ t, replicas }));
  const rising = counts.filter(({ t }) => t <= top).map(({ replicas }) => replicas);
  const falling = counts.filter(({ t }) => t > top).map(({ replicas }) => replicas);
  expect(rising).toEqual([...rising].sort((a, b) => a - b));
  expect(falling).toEqual([...falling].sort((a, b) => b - a));
  await on.remove("ramp");
}, 90_000);

test("what somebody scales stays so for a window and the delay, and explain says why", async () => {
  const labels = { ...FOUR_EACH, "com.faaslane.scale.down-delay": "4s" };
  await on.deploy("byhand", { labels });
  await on.whenScaled("byhand", 1);
  // Long enough for load to have been measured, so that a decision could be made against it.
  await on.whenSeen("byhand", 8);
  const since = performance.now();
  await on.scale("byhand", 3);
  await on.whenScaled("byhand", 3);
  const report = async () => decodeScalingReport(await (await on.platform.control("/system/scaling/byhand")).json());
  const told = await eventually("a decision was made", async () => {
    const now = await report();
    return now.last?.reason === "by-hand" && now;
  });
  expect(told.byHand).toMatchObject({ replicas: 3 });
  expect(told.last?.steps.map(({ text }) => text).join()).toMatch(/scaled by hand to 3, which holds for [1-6] s more/);
  await eventually("it is less", async () => (await on.replicas("byhand")).wanted < 3, 30_000, 50);
  // The window and the delay, but for a second that a tick may be early.
  expect(performance.now() - since).toBeGreaterThan(8_500);
  expect((await report()).byHand).toBeUndefined();
  await on.whenScaled("byhand", 1);

  // What is set at zero is not sent to sleep at once, nor is what sleeps kept from waking.
  await on.scale("byhand", 0);
  await on.whenScaled("byhand", 0);
  expect((await fetch(on.url("byhand"))).status).toBe(200);
  await on.remove("byhand");
}, 90_000);
