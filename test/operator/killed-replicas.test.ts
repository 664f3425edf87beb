import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { descendants } from "../support/platform.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { call, inProcess, type Operated, operate } from "./support.ts";

/** Replicas that are killed while calls come. */
let on: Operated;

beforeAll(async () => {
  on = await operate();
}, 60_000);

afterAll(() => on?.close());

const PER_SECOND = 100;
/** Calls that a replica may have at the moment of its death, on a machine that is slow at times. */
const UNDER_WAY = 10;

test("calls wait for a replica that was killed, and for one that is killed again and again", async () => {
  await on.deploy("single");
  await on.whenReady("single", 1);
  const traffic = on.traffic(on.url("single"), PER_SECOND);
  const kills = 3;
  for (let i = 0; i < kills; i++) {
    const { text: pid } = await call(on.url("single"));
    process.kill(Number(pid), "SIGKILL");
    await eventually("another one answers", async () => {
      const { status, text } = await call(on.url("single"));
      return status === 200 && text !== pid;
    });
    // Those that waited for it are through: it has no more than its share when its turn comes.
    const before = traffic.answers.length;
    await eventually("as many calls as usual", () => traffic.answers.length >= before + PER_SECOND, 20_000);
  }
  const { 200: answered = 0, 500: broken = 0, ...others } = await traffic.stop();
  expect(others).toEqual({});
  expect(broken).toBeLessThanOrEqual(kills * UNDER_WAY);
  expect(answered).toBeGreaterThan(kills * UNDER_WAY);
}, 60_000);

test("with four replicas of which one is killed every half second, or all at once, only calls that they had fail", async () => {
  await on.deploy("four", { labels: { "com.openfaas.scale.min": "4", "com.openfaas.scale.max": "4" } });
  await on.whenReady("four", 4);
  const random = seededRandom(11);
  const single = Number((await call(on.url("single"))).text);
  const traffic = on.traffic(on.url("four", "?ms=5"), PER_SECOND);
  const kills = 16;
  for (let i = 0; i < kills; i++) {
    const alive = (await descendants(on.platform.pid)).filter((pid) => pid !== single);
    const one = Math.floor(random() * alive.length);
    for (const victim of i % 5 === 4 ? alive : alive.slice(one, one + 1)) process.kill(victim, "SIGKILL");
    const before = traffic.answers.length;
    await eventually(
      "half a second's calls have ended",
      () => traffic.answers.length >= before + PER_SECOND / 2,
      20_000,
    );
  }
  const { 200: answered = 0, 500: broken = 0, ...others } = await traffic.stop();
  expect(others).toEqual({});
  expect(broken).toBeLessThanOrEqual(2 * kills * UNDER_WAY);
  expect(answered).toBeGreaterThan((kills * PER_SECOND) / 4);
  await on.whenReady("four", 4);
}, 90_000);

test("a function that fails to start twice keeps its callers waiting; one that always does tells them soon", async () => {
  const attempts = `
    import { appendFileSync, readFileSync } from "node:fs";
    appendFileSync(process.env.attempts, "x");
    const count = readFileSync(process.env.attempts).length;
    if (count <= Number(process.env.fails)) throw new Error("no database yet");
    export default (req, res) => res.end("after " + count);
  `;
  await buildImage(on.platform, "late:1", inProcess(attempts));
  const deploy = (name: string, fails: number) =>
    on.deploy(name, { image: "late:1", envVars: { attempts: `${on.dataDir}/${name}.attempts`, fails: String(fails) } });
  await deploy("twice", 2);
  expect(await call(on.url("twice"))).toMatchObject({ status: 200, text: "after 3" });
  await deploy("always", 1_000);
  const refused = await call(on.url("always"));
  expect([refused.status, refused.text]).toEqual([
    503,
    expect.stringMatching(/always.*cannot start: exited with code/),
  ]);
  expect(refused.ms).toBeLessThan(15_000);
  // Whoever comes later need not wait at all.
  const again = await call(on.url("always"));
  expect([again.status, again.ms < refused.ms + 1_000]).toEqual([503, true]);
}, 60_000);
