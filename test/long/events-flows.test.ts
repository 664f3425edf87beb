import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { FlowBench } from "../support/events/flow-bench.ts";
import { HttpSubscriber } from "../support/events/subscriber.ts";

const PROCESS = fileURLToPath(new URL("../support/events/flow-process.ts", import.meta.url));

let folder: string;
let functions: HttpSubscriber;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-flows-"));
  functions = await HttpSubscriber.open(({ path, body }) => {
    const { steps = [], ...rest } = JSON.parse(body.toString()) as { steps?: string[] };
    return { status: 200, body: JSON.stringify({ ...rest, steps: [...steps, path.slice(1)] }) };
  });
});
afterEach(async () => {
  await functions.close();
  await rm(folder, { recursive: true, force: true });
});

/** @returns whether it was killed on the way of that run, or came to its end before */
async function go(run: number): Promise<"killed" | "ended"> {
  const args = ["--disable-warning=ExperimentalWarning", PROCESS, folder, functions.url, String(run)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("exit", (...how) => resolve(how)),
  );
  if (signal === "SIGKILL") return "killed";
  expect(code).toBe(0);
  return "ended";
}

/** Each process brings the run of the one before to its end, and is killed one point later in its own. */
test("killed at every point, a flow of three functions comes to its end, and what is done twice says so", async () => {
  let runs = 1;
  while ((await go(runs)) === "killed") runs++;
  // Put and settled around each of three steps, the start and the end.
  expect(runs).toBeGreaterThan(25);
  const bench = await FlowBench.open({ folder, functions: {} });
  const all = await bench.all();
  const results = await Promise.all(all.map((run) => bench.result(run)));
  await bench.close();
  expect(all.length).toBe(runs);
  expect(all.filter(({ state }) => state !== "succeeded")).toEqual([]);
  expect(results).toEqual(
    expect.arrayContaining(
      Array.from({ length: runs }, (_, i) => ({ run: i + 1, steps: ["first", "second", "third"] })),
    ),
  );
  const calls = new Map<string, string[]>();
  for (const { headers } of functions.received) {
    const step = `${headers["x-flow-run"]} ${headers["x-flow-step"]}`;
    calls.set(step, [...(calls.get(step) ?? []), String(headers["x-flow-attempt"])]);
  }
  expect(calls.size).toBe(3 * runs);
  // The first call of a step is the first or, when the one before was never made, a later one; each has a number of its own.
  for (const attempts of calls.values()) {
    expect(new Set(attempts).size).toBe(attempts.length);
    expect(attempts.map(Number)).toEqual(attempts.map(Number).toSorted((one, other) => one - other));
  }
  expect([...calls.values()].some((attempts) => attempts.length > 1)).toBe(true);
}, 240_000);
