import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";

const CHILD = fileURLToPath(new URL("./few-descriptors.ts", import.meta.url));

/** Runs the child with room for few open files. */
async function withFewDescriptors(): Promise<Record<string, [{ kind: string; message?: string }, { kind: string }]>> {
  const command = `ulimit -n 64; exec "$0" --disable-warning=ExperimentalWarning "$1"`;
  const { stdout } = await promisify(execFile)("sh", ["-c", command, process.execPath, CHILD]);
  return JSON.parse(stdout);
}

test("without file descriptors a start is a failed attempt with a reason; with some it works again", async () => {
  const outcomes = await withFewDescriptors();
  const [replica, step] = outcomes["0 left"] ?? [];
  expect(replica).toEqual({ kind: "failed", message: "could not be started: EMFILE, too many open files" });
  expect(step).toEqual({ kind: "failed", why: expect.stringMatching(/could not be started: .*EMFILE/) });
  for (const left of [1, 2, 3, 4, 5]) {
    for (const outcome of outcomes[`${left} left`] ?? []) expect(["failed", "exited", "done"]).toContain(outcome.kind);
  }
  expect(outcomes.again).toEqual([{ kind: "exited", code: 0 }, { kind: "done" }]);
  expect(outcomes.processes).toBe(true);
});
