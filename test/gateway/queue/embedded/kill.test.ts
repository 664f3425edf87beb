import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { openEmbeddedQueue } from "../../../../gateway/queue/embedded/index.ts";
import { createLogger } from "../../../../kit/log.ts";
import { eventually } from "../../../support/eventually.ts";

const PUBLISHER = fileURLToPath(new URL("../fixtures/publisher.ts", import.meta.url));
const ROUNDS = 10;

let path: string;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-kill-"));
  path = join(folder, "queue.db");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Seen {
  readonly accepted: Set<string>;
  readonly delivered: Set<string>;
}

/** Runs the publisher and kills it with the `killAt`-th line it writes. */
async function publishUntilKilled(prefix: string, mode: "publish" | "consume", killAt: number, seen: Seen) {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PUBLISHER, path, prefix, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  let lines = 0;
  try {
    // What was written before the kill counts, also when it is read after.
    for await (const line of createInterface({ input: child.stdout })) {
      const [event, id] = line.split(" ") as [string, string];
      if (event === "accepted") seen.accepted.add(id);
      else if (event === "delivered") seen.delivered.add(id);
      else throw new Error(line);
      if (++lines === killAt) child.kill("SIGKILL");
    }
  } finally {
    child.kill("SIGKILL");
  }
  expect(await exited).toBe("SIGKILL");
}

test("no accepted call is lost, whenever the process is killed", async () => {
  const seen: Seen = { accepted: new Set(), delivered: new Set() };
  for (let round = 0; round < ROUNDS; round++) {
    const killAt = 1 + Math.floor(Math.random() ** 2 * 2000);
    await publishUntilKilled(`round${round}`, round % 2 === 0 ? "publish" : "consume", killAt, seen);
  }

  const queue = await openEmbeddedQueue({ path, maxBodyBytes: 1024 ** 2, log: createLogger("silent") });
  const consumer = await queue.consume(
    async ({ callId: id, body }) => {
      // Whole, not only there.
      expect(Buffer.compare(body, Buffer.alloc(body.length, id))).toBe(0);
      seen.delivered.add(id);
      return { kind: "done" };
    },
    { concurrency: 64, limitOf: () => 64 },
  );
  await eventually("the queue is drained", async () => {
    const { waiting, inFlight } = await queue.stats();
    return waiting + inFlight === 0;
  });
  expect((await queue.stats()).dead).toBe(0);
  await consumer.close(1000);
  await queue.close();

  expect(seen.accepted.size).toBeGreaterThan(0);
  expect([...seen.accepted].filter((id) => !seen.delivered.has(id))).toEqual([]);
}, 60_000);
