import { Worker } from "node:worker_threads";
import { expect, test } from "@jest/globals";
import { FunctionTable } from "../../../gateway/proxy/function-table.ts";
import { SharedCounters } from "../../../gateway/workers/shared-counters.ts";
import { WorkerPool } from "../../../gateway/workers/worker-pool.ts";
import { createLogger } from "../../../kit/log.ts";
import { eventually } from "../../support/eventually.ts";

const PATIENCE_MS = 60_000;

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly waitMs?: number;
  readonly err?: { readonly message: string; readonly code?: string };
}

test.each([
  ["throws", "a defect"],
  ["fills its heap", "memory"],
] as const)(
  "a worker that %s is replaced, each time after a longer wait, and this thread goes on",
  async (how, why) => {
    const counters = new SharedCounters(3);
    const table = new FunctionTable({
      defaultNamespace: "openfaas-fn",
      maxHeld: 10,
      timeoutMs: 1_000,
      connectTimeoutMs: 1_000,
      occupancies: counters,
    });
    const lines: Line[] = [];
    const started: number[] = [];
    const pool = new WorkerPool({
      workers: 2,
      start: (thread) => {
        started.push(thread);
        return new Worker(new URL("../fixtures/short-lived.ts", import.meta.url), {
          workerData: { how },
          execArgv: ["--disable-warning=ExperimentalWarning"],
          resourceLimits: { maxOldGenerationSizeMb: 24 },
        });
      },
      forget: () => {},
      table,
      counters,
      wake: () => {},
      doubt: () => {},
      expedite: async () => {},
      observed: () => {},
      leftOut: () => {},
      log: createLogger("info", { write: (line) => void lines.push(JSON.parse(line) as Line) }),
    });
    const said = (text: string) => lines.filter(({ msg }) => msg.includes(text));
    try {
      expect((await pool.listen(0)).port).toBe(4711);
      for (const round of [1, 2]) {
        pool.retryProvider(); // ends both
        await eventually("both are replaced", () => said("taken the place").length === 2 * round, PATIENCE_MS);
      }
      expect(started.toSorted()).toEqual([1, 1, 1, 2, 2, 2]);
      const ends = said("has ended");
      expect(ends.map(({ level }) => level)).toEqual(["error", "error", "error", "error"]);
      expect(ends.map(({ waitMs }) => waitMs)).toEqual([100, 100, 200, 200]);
      for (const { err } of ends) expect(err?.message).toContain(why);
    } finally {
      await pool.close();
      await table.close();
    }
  },
  120_000,
);
