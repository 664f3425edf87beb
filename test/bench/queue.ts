import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedQueue } from "../../gateway/queue/embedded/index.ts";
import { DEFAULT_QUEUE, type Disposition, type NewCall, type Queue } from "../../gateway/queue/queue.ts";

/** How fast the embedded queue takes calls and gives them out again, what became of each kept: `npm run bench:queue`. */

const BODY_BYTES = 256;
const headers = [
  ["Content-Type", "application/json"],
  ["X-Start-Time", "1700000000000000000"],
  ["User-Agent", "bench"],
] as const;

const newCall = (i: number, named: boolean): NewCall => ({
  ...(named && { callId: `call-${i}`, idempotencyKey: `key-${i}` }),
  queue: DEFAULT_QUEUE,
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

async function publishRate(queue: Queue, inFlight: number, calls: number, named = false): Promise<void> {
  const end = count + calls;
  const waits: number[] = [];
  const start = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (count < end) {
        const sent = performance.now();
        await queue.publish(newCall(count++, named));
        waits.push(performance.now() - sent);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  waits.sort((a, b) => a - b);
  const at = (share: number) => (waits[Math.floor(waits.length * share)] as number).toFixed(2);
  console.log(
    `publish ${inFlight} in flight${named ? ", with names and keys of their own" : ""}: ${Math.round(calls / seconds)} calls/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  );
}

const answered = (resultBytes: number): Disposition => ({
  kind: "done",
  outcome: {
    status: 200,
    durationMs: 1,
    ...(resultBytes > 0 && { result: { headers: [["Content-Type", "text/plain"]], body: Buffer.alloc(resultBytes) } }),
  },
});

async function drainRate(queue: Queue, concurrency: number, resultBytes = 0): Promise<void> {
  const { waiting } = await queue.stats();
  const { promise: drained, resolve } = Promise.withResolvers<void>();
  let left = waiting;
  const start = performance.now();
  const consumer = await queue.consume(
    async () => {
      if (--left === 0) resolve();
      return answered(resultBytes);
    },
    { concurrency, limitOf: () => concurrency },
  );
  await drained;
  const seconds = (performance.now() - start) / 1000;
  await consumer.close(1000);
  const results = resultBytes > 0 ? `, results of ${resultBytes} bytes` : "";
  console.log(`drain ${waiting} calls, ${concurrency} under way${results}: ${Math.round(waiting / seconds)} calls/s`);
}

/** From publishing a call to its start, while nothing else is to be done. */
async function loneCall(queue: Queue, calls: number): Promise<void> {
  let started = Promise.withResolvers<void>();
  const consumer = await queue.consume(
    async () => {
      started.resolve();
      return answered(0);
    },
    { concurrency: 16, limitOf: () => 16 },
  );
  const waits: number[] = [];
  for (let i = 0; i < calls; i++) {
    started = Promise.withResolvers<void>();
    const sent = performance.now();
    await Promise.all([queue.publish(newCall(count++, false)), started.promise]);
    waits.push(performance.now() - sent);
  }
  await consumer.close(1000);
  waits.sort((a, b) => a - b);
  console.log(`one call at a time, published and started: p50 ${(waits[calls >> 1] as number).toFixed(3)} ms`);
}

/** Asking for calls by their ids, while others are published. */
async function findRate(queue: Queue, calls: number): Promise<void> {
  const ids = await Promise.all(
    Array.from({ length: 1000 }, async () => (await queue.publish(newCall(count++, false))).id),
  );
  const start = performance.now();
  for (let done = 0; done < calls; done += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => queue.find(ids[(done + i) % ids.length] as string)));
  }
  console.log(`find 50 in flight: ${Math.round(calls / ((performance.now() - start) / 1000))} calls/s`);
}

const folder = await mkdtemp(join(tmpdir(), "faaslane-queue-bench-"));
try {
  const path = join(folder, "queue.db");
  const queue = await openEmbeddedQueue({ path, maxBodyBytes: 1024 ** 2, log: console });
  await loneCall(queue, 3000);
  await publishRate(queue, 1, 3000);
  await publishRate(queue, 16, 30_000);
  await publishRate(queue, 64, 100_000);
  await publishRate(queue, 256, 100_000);
  console.log(`file: ${((await stat(path)).size / 1024 ** 2).toFixed(1)} MiB for ${count} calls`);
  await drainRate(queue, 64);
  await publishRate(queue, 64, 50_000);
  await drainRate(queue, 16);
  await publishRate(queue, 64, 50_000, true);
  await drainRate(queue, 64, 1024);
  await findRate(queue, 20_000);
  await queue.close();
  const start = performance.now();
  await (await openEmbeddedQueue({ path, maxBodyBytes: 1024 ** 2, log: console })).close();
  const opened = Math.round(performance.now() - start);
  console.log(`file: ${((await stat(path)).size / 1024 ** 2).toFixed(1)} MiB, opened again within ${opened} ms`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
