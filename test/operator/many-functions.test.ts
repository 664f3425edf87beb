import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Platform } from "../support/platform.ts";
import { call, type Operated, operate } from "./support.ts";

/** More functions than a machine starts in a moment. */
const FUNCTIONS = 80;
let on: Operated;
let later: Platform | undefined;

beforeAll(async () => {
  on = await operate();
  for (let i = 0; i < FUNCTIONS; i += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, k) => on.deploy(`fn-${i + k}`)));
  }
  // Where they are does not matter: they are there again after the next start.
  await on.platform.stop();
}, 90_000);

afterAll(async () => {
  await later?.stop();
  await on?.close();
});

async function ready(platform: Platform): Promise<number> {
  const list = (await (await platform.control("/system/functions")).json()) as { availableReplicas?: number }[];
  return list.filter(({ availableReplicas = 0 }) => availableReplicas > 0).length;
}

test("after a start those that are called come first, and nobody is turned away", async () => {
  later = await Platform.start({ dataDir: on.dataDir });
  const called = [FUNCTIONS - 1, FUNCTIONS / 2, 7].map((i) => `fn-${i}`);
  const answers = await Promise.all(called.map((name) => call(`${later?.url}/function/${name}`)));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  // The last one would have waited for all others.
  expect(await ready(later)).toBeLessThan(FUNCTIONS / 2);
}, 60_000);

test("the others follow by themselves", async () => {
  const platform = later as Platform;
  const before = await ready(platform);
  const name = `fn-${FUNCTIONS - 2}`;
  for (let now = before; now < Math.min(FUNCTIONS, before + 10); now = await ready(platform)) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect((await call(`${platform.url}/function/${name}`)).status).toBe(200);
}, 60_000);
