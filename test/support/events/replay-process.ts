import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beginReplay } from "../../../events/ledger/replay.ts";
import { ReplayRun } from "../../../events/ledger/replay-run.ts";
import { openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import { createLogger } from "../../../kit/log.ts";
import { sleep } from "../../../kit/sleep.ts";

/*
 * Stores events, has them delivered, and replays them; tells after each of these what memory is held: in MiB, of what is
 * alive and of the process. Run with --expose-gc.
 */

const count = Number(process.argv[2]);
const TOGETHER = 500;
const MIB = 1024 ** 2;
const TRIGGER = "trigger/ns/all";
const broker = { namespace: "ns", name: "default" };
const folder = mkdtempSync(join(tmpdir(), "faaslane-replay-"));
const store = await openEmbeddedEvents({
  path: join(folder, "events.db"),
  log: createLogger("silent"),
  minFreeBytes: 0,
});
const { events } = store;
let delivered = 0;

function tell(what: string): void {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  const told = { what, held: Math.round((heapUsed + arrayBuffers) / MIB), process: Math.round(rss / MIB) };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

async function deliveredInAll(least: number): Promise<void> {
  while (delivered < least) await sleep(50);
}

const consumer = await events.consume(
  async (all) =>
    all.map(({ ref }) => ({
      ref,
      verdicts: [{ trigger: TRIGGER, matched: true }],
      deliveries: [{ trigger: TRIGGER }],
      keep: "full",
    })),
  async () => {
    delivered++;
    return { kind: "done", attempt: { at: Date.now(), durationMs: 1, status: 200 } };
  },
  { concurrency: 200, perTrigger: () => 200 },
);
for (let from = 0; from < count; from += TOGETHER) {
  await events.append(
    Array.from({ length: TOGETHER }, (_, n) => ({
      broker,
      event: {
        attributes: { specversion: "1.0", id: String(from + n), source: "/s", type: "t" },
        data: Buffer.alloc(200, 1),
      },
      headers: [],
      hops: 255,
      arrivedAt: Date.now(),
      via: "http",
    })),
  );
}
await deliveredInAll(count);
tell("delivered");
for (let time = 1; time <= 2; time++) {
  const replay = beginReplay({ name: `r-${time}`, trigger: TRIGGER, rate: 10_000 }, "ns", Date.now() + 1_000);
  const signal = new AbortController().signal;
  await new ReplayRun(replay, { store: events, note: async () => true, now: Date.now, signal }).run();
  await deliveredInAll(count * (1 + time));
  tell("replayed");
}
await consumer.close();
await store.close();
rmSync(folder, { recursive: true });
