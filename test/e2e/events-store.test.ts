import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { openEmbeddedEvents } from "../../events/store/embedded/index.ts";
import type { EventRecord } from "../../events/store/event-store.ts";
import { createLogger } from "../../kit/log.ts";

const PROCESS = fileURLToPath(new URL("../support/events/store-process.ts", import.meta.url));
const NS = "openfaas-fn";
const COUNT = 1000;

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-events-"));
  path = join(folder, "events.db");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Round {
  readonly appended: readonly string[];
  readonly delivered: readonly string[];
  readonly finished: boolean;
}

/** Runs the process, and kills it with the `killAt`-th line that it writes. */
async function run(killAt: number): Promise<Round> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROCESS, path, String(COUNT)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const said: string[] = [];
  try {
    // What was written before the kill counts, also when it is read after.
    for await (const line of createInterface({ input: child.stdout })) {
      said.push(line);
      if (said.length === killAt) child.kill("SIGKILL");
    }
  } finally {
    child.kill("SIGKILL");
  }
  await exited;
  const of = (what: string) =>
    said.filter((line) => line.startsWith(`${what} `)).map((line) => line.split(" ")[1] as string);
  return { appended: of("appended"), delivered: of("delivered"), finished: said.includes("finished") };
}

/** All that the store has, by id. */
async function look(): Promise<{ readonly all: readonly EventRecord[]; readonly settled: ReadonlySet<string> }> {
  const { events, close } = await openEmbeddedEvents({ path, log: createLogger("silent"), minFreeBytes: 0 });
  const { events: all } = await events.list({ namespace: NS }, { order: "oldest", limit: 10 * COUNT, withData: true });
  await close();
  const settled = all.filter(
    ({ deliveries }) => deliveries.length > 0 && deliveries.every(({ state }) => state === "delivered"),
  );
  return { all, settled: new Set(settled.map(idOf)) };
}

const idOf = ({ event }: EventRecord) => String(event.event.attributes.id);

test("killed again and again, the store loses nothing, settles nothing twice, and appends each reply once", async () => {
  const appended = new Set<string>();
  let settled: ReadonlySet<string> = new Set();
  let kills = 0;
  for (let finished = false; !finished; ) {
    // Often early, sometimes late; at last not at all.
    const killAt = kills < 12 ? 1 + Math.floor(Math.random() ** 2 * 2500) : Number.POSITIVE_INFINITY;
    const round = await run(killAt);
    ({ finished } = round);
    kills++;
    for (const id of round.appended) appended.add(id);
    expect(round.delivered.filter((id) => settled.has(id))).toEqual([]);
    const now = await look();
    const ids = now.all.map(idOf);
    expect(new Set(ids).size).toBe(ids.length);
    expect([...appended].filter((id) => !ids.includes(id))).toEqual([]);
    expect([...settled].filter((id) => !now.settled.has(id))).toEqual([]);
    // A reply is there exactly when what it answers is settled.
    const answered = ids.filter((id) => id.startsWith("reply-")).map((id) => id.slice("reply-".length));
    const firsts = [...now.settled].filter((id) => id.startsWith("e-"));
    expect(answered.toSorted()).toEqual(firsts.toSorted());
    for (const { event } of now.all) {
      const whole = Buffer.alloc(500, String(event.event.attributes.id));
      expect(Buffer.compare(event.event.data ?? Buffer.alloc(0), whole)).toBe(0);
    }
    settled = now.settled;
  }
  expect(kills).toBeGreaterThan(2);
  expect(settled.size).toBe(2 * COUNT);
  const retried = (await look()).all.filter((record) => /^e-\d*7$/.test(idOf(record)));
  expect(retried.map(({ deliveries }) => deliveries[0]?.tries)).toEqual(Array(COUNT / 10).fill(2));
}, 180_000);
