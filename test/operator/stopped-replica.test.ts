import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { isAlive } from "../support/platform.ts";
import { call, inProcess, type Operated, operate } from "./support.ts";

/** Replicas that do not answer any more, as after `kill -STOP` or in a deadlock. */
let on: Operated;

beforeAll(async () => {
  on = await operate();
}, 60_000);

afterAll(() => on?.close());

const PER_SECOND = 50;
const LONG_MS = 1_000;

/** Every process that answers. */
async function pidsOf(name: string, count: number): Promise<number[]> {
  const seen = new Set<number>();
  await eventually(`${count} replicas answer`, async () => {
    const { status, text } = await call(on.url(name, "?ms=20"));
    if (status === 200) seen.add(Number(text));
    return seen.size === count;
  });
  return [...seen];
}

/** Traffic while a replica hangs: most calls must not notice, and the replica is started again. */
async function whileOneHangs(name: string, hang: (pid: number) => Promise<void>): Promise<void> {
  await on.whenReady(name, 2);
  const [victim = 0] = await pidsOf(name, 2);
  const traffic = on.traffic(on.url(name), PER_SECOND, 60_000);
  await hang(victim);
  await eventually("it is not offered", async () => (await on.status(name)).availableReplicas === 1, 30_000, 50);
  await eventually("its process is gone", () => !isAlive(victim), 30_000, 50);
  await on.whenReady(name, 2);
  const counts = await traffic.stop();
  const caught = traffic.answers.filter(({ status, ms }) => status !== 200 || ms > LONG_MS);
  // Those that it had when it stopped, and some that see whether it is well again.
  expect(caught.length).toBeLessThanOrEqual(20);
  expect(counts[200]).toBeGreaterThan(3 * PER_SECOND);
  expect(Object.keys(counts).filter((status) => !["200", "500"].includes(status))).toEqual([]);
}

const TWO = { "com.openfaas.scale.min": "2", "com.openfaas.scale.max": "2" };

test("one of two replicas is stopped: others get its calls, and it is started again", async () => {
  await on.deploy("stopped", { labels: TWO });
  await whileOneHangs("stopped", async (pid) => void process.kill(pid, "SIGSTOP"));
}, 90_000);

test("one of two replicas waits for something that never comes: likewise", async () => {
  const deadlock = `
    export default (req, res) => {
      if (req.url === "/lock/" + process.pid) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      const { searchParams } = new URL(req.url, "http://x");
      setTimeout(() => res.end(String(process.pid)), Number(searchParams.get("ms") ?? 0));
    };
  `;
  await buildImage(on.platform, "deadlock:1", inProcess(deadlock));
  await on.deploy("locked", { image: "deadlock:1", labels: TWO });
  await whileOneHangs("locked", async (pid) => {
    // Whichever gets it: only the one that is meant is caught by it.
    for (let i = 0; i < 20; i++) void call(on.url("locked", `/lock/${pid}`), 5_000);
  });
}, 90_000);

test("the only replica is stopped: calls wait for the next one", async () => {
  await on.deploy("only", { labels: { "com.openfaas.scale.max": "1" } });
  await on.whenReady("only", 1);
  const [victim = 0] = await pidsOf("only", 1);
  process.kill(victim, "SIGSTOP");
  await eventually("it is not offered", async () => (await on.status("only")).availableReplicas === undefined, 30_000);
  const { status, text } = await call(on.url("only"));
  expect([status, Number(text) === victim]).toEqual([200, false]);
}, 60_000);
