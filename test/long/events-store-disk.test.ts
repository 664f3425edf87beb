import { chmodSync, chownSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "@jest/globals";
import { type EmbeddedEvents, openEmbeddedEvents } from "../../events/store/embedded/index.ts";
import { done, newEvent, routeTo } from "../events/store-contract.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { missingSmallDisk, mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";

const testDisk = testNeeding(missingSmallDisk());
const NS = "openfaas-fn";

let disk: SmallDisk;
let store: EmbeddedEvents | undefined;
let messages: string[];

beforeEach(() => {
  disk = mountSmallDisk(40);
  messages = [];
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  disk.remove();
});

async function open(minFreeBytes = 0): Promise<EmbeddedEvents> {
  const note = (_facts: object, message?: string) => void messages.push(message ?? "");
  const log = { info: note, warn: note, error: note } as Parameters<typeof openEmbeddedEvents>[0]["log"];
  store = await openEmbeddedEvents({ path: join(disk.path, "events.db"), log, minFreeBytes });
  return store;
}

const large = () => newEvent({ event: { ...newEvent().event, data: Buffer.alloc(60_000, "x") } });

/** @returns how many were taken, and why no more were */
async function appendUntilRefused({ events }: EmbeddedEvents): Promise<{ taken: number; refusal: unknown }> {
  for (let taken = 0; ; taken++) {
    try {
      await events.append([large()]);
    } catch (refusal) {
      return { taken, refusal };
    }
    if (taken > 2000) throw new Error("the disk is never full");
  }
}

testDisk("a store that has filled its disk settles what it has, which makes room for more", async () => {
  const opened = await open();
  const { events } = opened;
  const { taken, refusal } = await appendUntilRefused(opened);
  expect(taken).toBeGreaterThan(100);
  expect(refusal).toMatchObject({ kind: "unavailable", message: expect.stringContaining("cannot be stored now") });
  let delivered = 0;
  await events.consume(
    routeTo(["t"], "off"),
    async () => {
      delivered++;
      return done;
    },
    { concurrency: 16, perTrigger: () => 16 },
  );
  await eventually("all is settled", async () => (await events.stats(NS))[0]?.events === 0, 30_000);
  expect(delivered).toBe(taken);
  await eventually("it takes events again", async () => await events.append([newEvent()]), 30_000);
  expect(messages.join()).toMatch(/no new events are taken|events cannot be stored/);
});

testDisk("a disk that others have filled is waited for", async () => {
  const opened = await open();
  const { events } = opened;
  await events.append([newEvent()]);
  let delivered = 0;
  disk.fill();
  const { refusal } = await appendUntilRefused(opened);
  expect(refusal).toMatchObject({ kind: "unavailable" });
  await events.consume(
    routeTo(["t"]),
    async () => {
      delivered++;
      return done;
    },
    { concurrency: 1, perTrigger: () => 1 },
  );
  await eventually("what was there is delivered", () => delivered > 0, 30_000);
  disk.clear();
  await eventually("it takes events again", async () => await events.append([newEvent()]), 30_000);
});

testDisk("a store leaves of its disk what it is told to", async () => {
  const opened = await open(16 * 1024 ** 2);
  const { refusal } = await appendUntilRefused(opened);
  expect(refusal).toMatchObject({ kind: "unavailable", message: expect.stringContaining("of its disk would be free") });
  expect(disk.freeBytes).toBeGreaterThan(12 * 1024 ** 2);
});

testDisk("a file of somebody else is refused with what to do", async () => {
  const opened = await open();
  await opened.events.append([newEvent()]);
  await opened.close();
  const file = join(disk.path, "events.db");
  chownSync(file, 1234, 1234);
  chmodSync(disk.path, 0o755);
  const uid = process.geteuid?.() as number;
  process.seteuid?.(4321);
  try {
    await expect(open()).rejects.toThrow("this user must be able to read and write the file and its folder");
  } finally {
    process.seteuid?.(uid);
  }
});
