import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, expect, test } from "@jest/globals";
import type { FromWorker, ToWorker } from "../../../../gateway/queue/embedded/protocol.ts";
import { DatabaseThread } from "../../../../kit/database-thread.ts";
import { createLogger } from "../../../../kit/log.ts";
import { eventually } from "../../../support/eventually.ts";

const log = createLogger("silent");
const opened: FromWorker = { kind: "opened", key: { secret: new Uint8Array(32), hiddenFrom: 0 } };
const refused: FromWorker = { kind: "refusedToOpen", message: "another process has it open" };

/** Says this, and ends at the first message. */
const threadThatSays = (message: FromWorker) =>
  new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     parentPort.postMessage(workerData);
     if (workerData.kind === "opened") parentPort.once("message", () => process.exit(1));`,
    { eval: true, workerData: message },
  );

let threads: DatabaseThread<ToWorker, FromWorker>[] = [];
afterEach(async () => {
  await Promise.all(threads.map((thread) => thread.close()));
  threads = [];
});

test("a thread that cannot be opened again after a long life is given up, too", async () => {
  let now = 0;
  const started: Worker[] = [];
  const failures: Error[] = [];
  const thread = new DatabaseThread<ToWorker, FromWorker>(
    {
      name: "queue",
      startThread: () => {
        const worker = threadThatSays(started.length === 0 ? opened : refused);
        started.push(worker);
        return worker;
      },
      restartWaitsMs: [1, 1, 1],
      log,
      onFailure: (error) => failures.push(error),
      clock: () => now,
    },
    { opened: () => {}, received: () => {}, lost: async () => {} },
  );
  threads.push(thread);
  await thread.opened;
  now = 3_600_000;
  thread.post({ kind: "pause" });
  await eventually("it is given up", () => failures.length > 0);
  expect(started).toHaveLength(4);
  expect(failures.map(({ message }) => message)).toEqual(["another process has it open"]);
  expect(thread.failure).toMatchObject({ kind: "unavailable" });
});

test("a thread that lived long begins its tries anew", async () => {
  let now = 0;
  let started = 0;
  const failures: Error[] = [];
  let current: Worker | undefined;
  const thread = new DatabaseThread<ToWorker, FromWorker>(
    {
      name: "queue",
      startThread: () => {
        started++;
        current = threadThatSays(opened);
        return current;
      },
      restartWaitsMs: [1],
      log,
      onFailure: (error) => failures.push(error),
      clock: () => now,
    },
    { opened: () => {}, received: () => {}, lost: async () => {} },
  );
  threads.push(thread);
  await thread.opened;
  for (let lives = 2; lives <= 4; lives++) {
    now += 3_600_000;
    const gone = once(current as Worker, "exit");
    thread.post({ kind: "pause" });
    await gone;
    await eventually("another one works", () => started === lives && thread.failure === undefined);
  }
  expect(failures).toEqual([]);
});

test("a thread that finds no room on the disk is started until it does", async () => {
  const full: FromWorker = { kind: "refusedToOpen", message: "disk full", cause: { errcode: 13 } };
  let started = 0;
  let current: Worker | undefined;
  const failures: Error[] = [];
  const thread = new DatabaseThread<ToWorker, FromWorker>(
    {
      name: "queue",
      startThread: () => {
        started++;
        current = threadThatSays(started === 1 || started > 5 ? opened : full);
        return current;
      },
      restartWaitsMs: [1],
      log,
      onFailure: (error) => failures.push(error),
    },
    { opened: () => {}, received: () => {}, lost: async () => {} },
  );
  threads.push(thread);
  await thread.opened;
  thread.post({ kind: "pause" });
  await eventually("it works again", () => started === 6 && thread.failure === undefined);
  expect(failures).toEqual([]);
});
