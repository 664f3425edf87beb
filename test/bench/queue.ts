import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedQueue } from "../../gateway/queue/embedded.ts";
import type { Queue, QueuedCall } from "../../gateway/queue/queue.ts";

/** How fast the embedded queue takes calls and gives them out again: `node test/bench/queue.ts`. */

const BODY_BYTES = 256;
const headers = [
  ["Content-Type", "application/json"],
  ["X-Call-Id", "00000000-0000-0000-0000-000000000000"],
  ["X-Start-Time", "1700000000000000000"],
  ["User-Agent", "bench"],
] as const;

const newCall = (i: number): QueuedCall => ({
  id: `call-${i}`,
  callId: "the-call",
  function: `fn${i % 3}`,
  namespace: "openfaas-fn",
  method: "POST",
  path: "/",
  query: "",
  headers,
  body: Buffer.alloc(BODY_BYTES, i),
  acceptedAt: Date.now(),
});

let count = 0;

async function publishRate(queue: Queue, inFlight: number, calls: number): Promise<void> {
  const end = count + calls;
  const waits: number[] = [];
  const start = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (count < end) {
        const sent = performance.now();
        await queue.publish(newCall(count++));
        waits.push(performance.now() - sent);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  waits.sort((a, b) => a - b);
  const at = (share: number) => (waits[Math.floor(waits.length * share)] as number).toFixed(2);
  console.log(
    `publish ${inFlight} in flight: ${Math.round(calls / seconds)} calls/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  );
}

async function drainRate(queue: Queue, concurrency: number): Promise<void> {
  const { waiting } = await queue.stats();
  const { promise: drained, resolve } = Promise.withResolvers<void>();
  let left = waiting;
  const start = performance.now();
  const consumer = await queue.consume(
    async () => {
      if (--left === 0) resolve();
      return { kind: "done" };
    },
    { concurrency, perFunction: concurrency },
  );
  await drained;
  const seconds = (performance.now() - start) / 1000;
  await consumer.close(1000);
  console.log(`drain ${waiting} calls, ${concurrency} under way: ${Math.round(waiting / seconds)} calls/s`);
}

const folder = await mkdtemp(join(tmpdir(), "faaslane-queue-bench-"));
try {
  const path = join(folder, "queue.db");
  const queue = await openEmbeddedQueue({ path, maxBodyBytes: 1024 ** 2, log: console });
  await publishRate(queue, 1, 3000);
  await publishRate(queue, 16, 30_000);
  await publishRate(queue, 64, 100_000);
  await publishRate(queue, 256, 100_000);
  console.log(`file: ${((await stat(path)).size / 1024 ** 2).toFixed(1)} MiB for ${count} calls`);
  await drainRate(queue, 64);
  await publishRate(queue, 64, 50_000);
  await drainRate(queue, 16);
  await queue.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
