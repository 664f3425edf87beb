import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { OpenCall, ScalingPlatform } from "../support/scaling-platform.ts";

/** To zero and back, and calls that have to wait, on the real platform. */
let on: ScalingPlatform;

beforeAll(async () => {
  on = await ScalingPlatform.start();
}, 60_000);

afterAll(() => on?.stop());

/** How often a function falls asleep and is woken; 100 takes five minutes. */
const CYCLES = Number(process.env.FAASLANE_SLEEP_CYCLES ?? 4);

const SLEEPY = {
  "com.openfaas.scale.zero": "true",
  "com.openfaas.scale.zero-duration": "1s",
  "com.openfaas.scale.max": "3",
};

const call = async (name: string, query = "") => {
  const response = await fetch(on.url(name, query));
  return { status: response.status, text: await response.text(), headers: response.headers };
};

test("500 calls at once of a function at zero are all answered", async () => {
  await on.deploy("flood", { labels: { "com.openfaas.scale.target": "200", "com.openfaas.scale.max": "3" } });
  await on.whenScaled("flood", 1);
  await on.scale("flood", 0);
  await on.whenScaled("flood", 0);
  const answers = await Promise.all(Array.from({ length: 500 }, () => call("flood", "?ms=20")));
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  await on.remove("flood");
}, 60_000);

test(
  `a trickle finds a function that falls asleep again and again, ${CYCLES} times, without a failed call`,
  async () => {
    await on.deploy("trickle", { labels: SLEEPY });
    const waitsMs: number[] = [];
    for (let i = 0; i < CYCLES; i++) {
      const begun = performance.now();
      expect(await call("trickle")).toMatchObject({ status: 200 });
      waitsMs.push(performance.now() - begun);
      // Every other call comes while the last replica is still on its way out.
      const asleep = async () => {
        const { wanted, ready } = await on.replicas("trickle");
        return wanted === 0 && (i % 2 === 1 || ready === 0);
      };
      await eventually("it falls asleep", asleep, 30_000, 10);
    }
    const sorted = waitsMs.slice(1).sort((a, b) => a - b);
    const [median, longest] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)].map((ms) => Math.round(ms ?? 0));
    process.stdout.write(`woken ${sorted.length} times: the call took ${median} ms (median), ${longest} ms at most\n`);
    await on.remove("trickle");
  },
  60_000 + CYCLES * 10_000,
);

test("a call that comes while the last replica drains is held, not lost", async () => {
  await on.deploy("drain");
  await on.whenScaled("drain", 1);
  const release = join(on.folder, "release-drain");
  const last = await OpenCall.begin(on.url("drain", `?until=${release}`));
  await on.scale("drain", 0);
  await eventually("it drains", async () => (await on.replicas("drain")).ready === 0);
  const next = await OpenCall.begin(on.url("drain"));
  expect(next.status).toBe(200);
  expect(next.pid).not.toBe(last.pid);
  await next.end();
  await writeFile(release, "");
  expect(await last.end()).toMatch(/released\n$/);
  await on.remove("drain");
}, 60_000);

test("a long stream keeps a function awake, which sleeps when it has ended", async () => {
  await on.deploy("stream", { labels: SLEEPY });
  await on.whenScaled("stream", 1);
  const release = join(on.folder, "release-stream");
  const stream = await OpenCall.begin(on.url("stream", `?until=${release}`));
  const begun = Date.now();
  // Three times as long as it may be idle, and two decisions more.
  await on.whenSeen("stream", 5);
  const seen = await on.history("stream", begun);
  expect(new Set(seen.map(({ replicas }) => replicas))).toEqual(new Set([1]));
  await writeFile(release, "");
  expect(await stream.end()).toMatch(/released\n$/);
  await on.whenScaled("stream", 0);
  await on.remove("stream");
}, 60_000);

test("a function that cannot start tells its callers why, quickly", async () => {
  await on.deploy("broken", { image: "broken:1" });
  await on.scale("broken", 0);
  await on.whenScaled("broken", 0);
  const begun = performance.now();
  const answers = await Promise.all(Array.from({ length: 20 }, () => call("broken")));
  const tookMs = performance.now() - begun;
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
  for (const { text } of answers)
    expect(text).toMatch(/^function broken\.openfaas-fn cannot start: exited with code 1/);
  // It would be held for a minute.
  expect(tookMs).toBeLessThan(10_000);
  await on.remove("broken");
}, 60_000);

test("calls beyond what replicas take queue, leave in order, and beyond the queue are told when to try again", async () => {
  const labels = { "com.faaslane.queue.size": "8", "com.openfaas.scale.max": "1" };
  await on.deploy("queue", { labels, envVars: { max_inflight: "1" } });
  await on.whenScaled("queue", 1);
  const release = join(on.folder, "release-queue");
  const first = await OpenCall.begin(on.url("queue", `?until=${release}`));
  const waiting: Promise<number>[] = [];
  for (let i = 0; i < 8; i++) {
    waiting.push(call("queue").then(({ status, text }) => (status === 200 ? Number(text.split(" ")[1]) : -status)));
    await eventually("it waits", async () => (await on.metric("gateway_held_calls", "queue")) === i + 1);
  }
  const refused = await call("queue");
  expect(refused).toMatchObject({ status: 429, text: "8 calls wait for function queue.openfaas-fn already\n" });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  await writeFile(release, "");
  await first.end();
  expect(await Promise.all(waiting)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  expect((await call("queue")).status).toBe(200);
  await on.remove("queue");
}, 60_000);
