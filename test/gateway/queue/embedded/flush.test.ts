import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { EmbeddedStore } from "../../../../gateway/queue/embedded/db/store.ts";
import { EmbeddedEngine } from "../../../../gateway/queue/embedded/engine/engine.ts";
import type { FromWorker, ToWorker } from "../../../../gateway/queue/embedded/protocol.ts";
import { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import { packBodies } from "../../../../kit/pack-bodies.ts";

/** A store that notes which transactions wait for the disk. */
class NotingStore extends EmbeddedStore {
  readonly flushed: boolean[] = [];
  override transaction<T>(change: () => T, flush = true): T {
    this.flushed.push(flush);
    return super.transaction(change, flush);
  }
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-flush-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("commits wait for the disk unless told otherwise", () => {
  const db = new EmbeddedDatabase(join(folder, "queue.db"));
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER)");
  const insert = () => void db.run("INSERT INTO t VALUES (1)");
  const levels = [true, false, false, true].map((flush) => {
    db.transaction(insert, flush);
    return db.number("PRAGMA synchronous");
  });
  expect(levels).toEqual([2, 1, 1, 2]);
  expect(db.number("SELECT count(*) FROM t")).toBe(4);
  db.close();
});

test("what somebody waits for waits for the disk; giving calls out and ending them does not", () => {
  const store = new NotingStore(join(folder, "queue.db"), 1024 ** 3);
  const settings = {
    path: "",
    limits: { calls: 10, bytes: 1024 ** 2, functionCalls: 10, functionBytes: 1024 ** 2 },
    minFreeBytes: 0,
    maxBytes: 1024 ** 3,
    maxDead: 10,
    maxDeadBytes: 1024 ** 2,
    maxInterruptions: 3,
    resultTtlMs: 60_000,
    maxFinished: 10,
    maxFinishedBytes: 1024 ** 2,
  };
  const said: FromWorker[] = [];
  const spare = { held: true, release: () => false };
  const engine = new EmbeddedEngine(store, spare, settings, Date.now, (message) => said.push(message));
  const flushedBy = (message: ToWorker) => {
    store.flushed.length = 0;
    engine.handle([message]);
    return [...store.flushed];
  };
  const call = { key: "fn.ns", acceptedAt: 1, meta: "{}", bodyAt: 0, bodyBytes: 0 };
  const bodies = packBodies([]);
  expect(flushedBy({ kind: "batch", batch: 1, calls: [call, call], bodies, settlements: [], claims: [] })).toEqual([
    true,
  ]);
  expect(flushedBy({ kind: "consume" })).toEqual([false]);
  const claims = [["fn.ns", 2]] as const;
  expect(flushedBy({ kind: "batch", batch: 0, calls: [], bodies, settlements: [], claims })).toEqual([false]);
  const answers = said.flatMap((message) => (message.kind === "deliver" ? message.answers : []));
  const seqs = answers.flatMap(({ calls }) => calls.map(({ seq }) => seq));
  expect(seqs).toHaveLength(2);
  const [first, second] = seqs as [number, number];
  const settlements = [{ settlement: { seq: first, kind: "done" as const } }];
  expect(flushedBy({ kind: "batch", batch: 0, calls: [], bodies, settlements, claims: [] })).toEqual([false]);
  expect(flushedBy({ kind: "ask", question: 1, ask: { kind: "cancel", of: { seq: second } } })).toEqual([true]);
  store.close();
});
