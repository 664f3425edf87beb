import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Callers } from "../support/callers.ts";
import { OpenCall, ScalingPlatform } from "../support/scaling-platform.ts";

/** What is taken away, when, and which of them, on the real platform. */
let on: ScalingPlatform;

beforeAll(async () => {
  on = await ScalingPlatform.start();
}, 60_000);

afterAll(() => on?.stop());

const CAPACITY = {
  "com.openfaas.scale.type": "capacity",
  "com.openfaas.scale.target-proportion": "1",
  "com.openfaas.scale.max": "5",
  "com.faaslane.scale.window": "6s",
  "com.faaslane.scale.down-delay": "0s",
};

test("a saw-tooth between the thresholds changes nothing once it has settled", async () => {
  const labels = {
    ...CAPACITY,
    "com.openfaas.scale.target": "4",
    // Two replicas stay until less than 4 × 0.5 is left for each of one.
    "com.faaslane.scale.down-proportion": "0.5",
  };
  await on.deploy("saw", { labels });
  await on.whenScaled("saw", 1);
  const callers = new Callers(on.url("saw", "?ms=50"));
  callers.set(7);
  try {
    await on.whenScaled("saw", 2);
    await on.whenSeen("saw", 6);
    const settled = Date.now();
    for (const parallel of [3, 7]) {
      callers.set(parallel);
      await on.whenSeen("saw", 7);
    }
    const seen = await on.history("saw", settled);
    // The whole window was low enough for one replica, had it been decided without the lower threshold.
    const windows = seen.slice(5).map((_, i) => seen.slice(i, i + 6));
    const averages = windows.map((window) => window.reduce((sum, { concurrency }) => sum + concurrency, 0) / 6);
    expect(Math.min(...averages)).toBeLessThan(3.5);
    expect(new Set(seen.map(({ replicas }) => replicas))).toEqual(new Set([2]));
    expect(new Set(seen.map(({ ready }) => ready))).toEqual(new Set([2]));
  } finally {
    await callers.stop();
  }
  expect(callers.failures).toEqual([]);
  await on.remove("saw");
}, 90_000);

test("the busy replica is the one that is kept, and its call is not cut", async () => {
  await on.deploy("keep", { labels: { ...CAPACITY, "com.openfaas.scale.target": "1.5" } });
  await on.whenScaled("keep", 1);
  const callers = new Callers(on.url("keep", "?ms=100"));
  const first = await OpenCall.begin(on.url("keep"));
  await first.end();
  callers.set(4);
  await on.whenScaled("keep", 3);
  const release = join(on.folder, "release");
  const calls: OpenCall[] = [];
  try {
    await callers.stop();
    for (let i = 0; i < 2; i++) calls.push(await OpenCall.begin(on.url("keep", `?until=${release}`)));
    // Left to itself, the platform keeps the oldest; a call at another one has to make it think better.
    const busy = calls.find(({ pid }) => pid !== first.pid) as OpenCall;
    for (const call of calls) if (call !== busy) call.leave();
    await on.whenScaled("keep", 1);
    const next = await OpenCall.begin(on.url("keep"));
    await next.end();
    expect([busy.pid, next.pid]).toEqual([busy.pid, busy.pid]);
    expect(busy.pid).not.toBe(first.pid);
    await writeFile(release, "");
    expect(await busy.end()).toMatch(/released\n$/);
  } finally {
    await writeFile(release, "");
    await callers.stop();
  }
  expect(callers.failures).toEqual([]);
  await on.remove("keep");
}, 90_000);

test("scaled down with a call at every replica, none is cut", async () => {
  await on.deploy("busy", { labels: { "com.openfaas.scale.min": "3", "com.openfaas.scale.max": "3" } });
  await on.whenScaled("busy", 3);
  const calls: OpenCall[] = [];
  // Longer than a replica waits before it tells its process to go.
  for (let i = 0; i < 3; i++) calls.push(await OpenCall.begin(on.url("busy", "?ms=2000")));
  expect(new Set(calls.map(({ pid }) => pid)).size).toBe(3);
  await on.scale("busy", 0);
  for (const call of calls) expect(await call.end()).toBe(`${call.pid} 1\n`);
  await on.remove("busy");
}, 60_000);
