import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, expect, test } from "@jest/globals";
import {
  deployment,
  ECHO,
  endpointsOf,
  follow,
  type LocalFixture,
  openFixture,
  ref,
  until,
  untilReady,
} from "../provider/local/support.ts";

let fixture: LocalFixture;
const open = async () => {
  fixture = await openFixture();
  await fixture.addImage("echo", ECHO);
  return fixture.backend;
};
afterEach(async () => {
  await fixture.close();
});

test("a Node function at zero is ready within 150 ms of the word to scale", async () => {
  const backend = await open();
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const { events, stop } = follow(backend);
  const took: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    await backend.functions.scale(ref("fn"), 0);
    await until("it is asleep", async () => (await endpointsOf(backend, "fn")).endpoints.length === 0);
    const bareAt = performance.now();
    await promisify(execFile)(process.execPath, ["-e", "0"]);
    bare.push(performance.now() - bareAt);
    const startedAt = performance.now();
    await backend.functions.scale(ref("fn"), 1);
    await until("it is ready", () => {
      const last = events.at(-1);
      return last?.type === "changed" && last.function.endpoints.some(({ state }) => state === "ready");
    });
    took.push(performance.now() - startedAt);
  }
  await stop();
  // The best of a few, and on a busy machine in proportion to a node that does nothing at all.
  expect(Math.min(...took)).toBeLessThan(Math.max(150, 4 * Math.min(...bare)));
});
