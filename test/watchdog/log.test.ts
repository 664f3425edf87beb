import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { expect, test } from "@jest/globals";
import { Log } from "../../watchdog/log.ts";
import { eventually } from "../support/eventually.ts";
import { FIXTURES, startWatchdog } from "./support/start-watchdog.ts";

const SETTINGS = { prefixLogs: false, logLineBytes: 1024 };

/** A stream that remembers each write. */
function remembering() {
  const writes: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      writes.push(String(chunk).replace(/\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d/g, "WHEN"));
      done();
    },
  });
  return { stream, writes };
}

test("a line is written at once, and those of the next moment as one", async () => {
  const { stream, writes } = remembering();
  const log = new Log(SETTINGS, remembering().stream, stream);
  for (const word of ["a", "b", "c"]) log.print(word);
  expect(writes).toEqual(["WHEN a\n"]);
  await eventually("the others are written", () => writes.length > 1);
  log.print("d");
  await log.flushed();
  expect(writes).toEqual(["WHEN a\n", "WHEN b\nWHEN c\n", "WHEN d\n"]);
});

test("what a function prints stays behind what was printed before it", async () => {
  const { stream, writes } = remembering();
  const log = new Log(SETTINGS, remembering().stream, stream);
  const source = new PassThrough();
  log.forward(source, "stderr");
  log.print("first");
  source.write("second\n");
  await eventually("it is passed on", () => writes.length === 2);
  log.print("third");
  await log.flushed();
  expect(writes).toEqual(["WHEN first\n", "second\n", "WHEN third\n"]);
});

test("a great many lines do not wait in memory", () => {
  const { stream, writes } = remembering();
  const log = new Log(SETTINGS, remembering().stream, stream);
  for (let i = 0; i < 100; i++) log.print("x".repeat(1000));
  expect(writes.join("").length).toBeGreaterThan(80_000);
  log.flush();
  expect(writes.join("").split("\n")).toHaveLength(101);
});

test("a function that ends its process does not take lines with it", async () => {
  await using watchdog = await startWatchdog({
    mode: "inproc",
    inproc_handler: join(FIXTURES, "exits.mjs"),
    access_log: "true",
  });
  await fetch(watchdog.url).catch(() => {});
  expect((await watchdog.ended).code).toBe(3);
  await eventually("the line of its call is there", () => /GET \/ - 200 OK/.test(watchdog.log));
});
