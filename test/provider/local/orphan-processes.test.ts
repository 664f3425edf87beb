import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { createLogger } from "../../../kit/log.ts";
import { MARK_VARIABLE, OrphanProcesses } from "../../../provider/backends/local/orphan-processes.ts";
import { isRunning } from "../../support/platform.ts";
import { openBuildFixture } from "../build-fixture.ts";
import { descriptor, tarOf } from "../tar-fixture.ts";
import {
  call,
  deployment,
  inProcess,
  isAlive,
  type LocalFixture,
  openFixture,
  readyAddresses,
  ref,
  until,
  untilReady,
} from "./support.ts";

/** Sessions of their own, and one whose parent is gone too; the pids of all are told. */
const WITH_STRAYS = inProcess(`
  import { spawn, execFileSync } from "node:child_process";
  const child = spawn("sleep", ["1000"], { detached: true, stdio: "inherit" });
  const orphan = execFileSync("sh", ["-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"], { encoding: "utf8" });
  export default (req, res) => {
    if (req.url === "/exit") process.exit(1);
    res.end(JSON.stringify([child.pid, Number(orphan)]));
  };
`);

let fixture: LocalFixture | undefined;
const others: ChildProcess[] = [];
afterEach(async () => {
  for (const other of others.splice(0)) other.kill("SIGKILL");
  await fixture?.close();
  fixture = undefined;
});

test.each<[how: string, end: (opened: LocalFixture, address: string) => Promise<unknown>]>([
  ["scaled to zero", ({ backend }) => backend.functions.scale(ref("fn"), 0)],
  ["removed", ({ backend }) => backend.functions.remove(ref("fn"))],
  ["stopped with the platform", ({ backend }) => backend.close(5_000)],
  ["over because its process ended", (_opened, address) => call(address, "/exit").catch(() => undefined)],
])("what has left the group of a replica ends when that is %s", async (_how, end) => {
  fixture = await openFixture();
  await fixture.addImage("fn", WITH_STRAYS);
  await fixture.backend.functions.create(deployment("fn", "fn"));
  await untilReady(fixture.backend, "fn");
  const [address = ""] = await readyAddresses(fixture.backend, "fn");
  const pids = JSON.parse((await call(address)).body) as number[];
  expect(pids.map(isAlive)).toEqual([true, true]);
  await end(fixture, address);
  await until("they are gone", async () => (await Promise.all(pids.map(isRunning))).every((running) => !running));
});

test("what has left the group of an install step ends with it, and does not hold up the build", async () => {
  const building = await openBuildFixture();
  try {
    const file = join(building.dataDir, "pid");
    const step = `setsid sh -c 'echo $$ > ${file}.new; mv ${file}.new ${file}; exec sleep 1000' & until [ -e ${file} ]; do sleep 0.01; done`;
    const events = await building.build(
      tarOf(descriptor({ install: ["sh", "install.sh"] }), { name: "install.sh", content: step }),
    );
    expect(events.at(-1)?.status).toBe("success");
    expect(await isRunning(Number(await readFile(file, "utf8")))).toBe(false);
  } finally {
    await building.close();
  }
});

test("processes of other replicas, and of other backends, are left alone", async () => {
  const log = createLogger("silent");
  const [mine, another] = [new OrphanProcesses("/somewhere/data", log), new OrphanProcesses("/somewhere/data2", log)];
  const start = (mark: string) => {
    const child = spawn("sleep", ["1000"], { env: { PATH: process.env.PATH, [MARK_VARIABLE]: mark }, stdio: "ignore" });
    others.push(child);
    return once(child, "spawn").then(() => child);
  };
  const [gone, longer, sibling, foreign] = await Promise.all([
    start(mine.mark("fn-1-a")),
    start(mine.mark("fn-1-ab")),
    start(mine.mark("fn-2-a")),
    start(another.mark("fn-1-a")),
  ]);
  const ended = once(gone, "exit");
  await Promise.all([mine.kill("fn-1-a"), mine.kill("fn-1-none")]);
  expect(await ended).toEqual([null, "SIGKILL"]);
  expect([longer, sibling, foreign].map(({ pid = 0 }) => isAlive(pid))).toEqual([true, true, true]);
  expect(await mine.killAll()).toBe(2);
  expect(isAlive(foreign.pid ?? 0)).toBe(true);
});
