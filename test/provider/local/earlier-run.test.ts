import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "@jest/globals";
import type { EndpointsEvent } from "../../../contract/endpoints.ts";
import { createLogger } from "../../../kit/log.ts";
import { OrphanProcesses } from "../../../provider/backends/local/orphan-processes.ts";
import {
  call,
  deployment,
  ECHO,
  echo,
  inProcess,
  isAlive,
  type LocalFixture,
  openFixture,
  until,
  untilReady,
  WATCHDOG,
} from "./support.ts";

const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url));

const log = createLogger("silent");
let fixture: LocalFixture;
const strangers: ChildProcess[] = [];
afterEach(async () => {
  for (const stranger of strangers.splice(0)) stranger.kill("SIGKILL");
  await fixture.close();
});

/** Another process runs what is deployed. @returns it and, by function, an address to call */
async function runElsewhere(names: readonly string[]): Promise<{ platform: ChildProcess; addresses: string[] }> {
  const args = ["--disable-warning=ExperimentalWarning", CHILD, fixture.dataDir, process.execPath, WATCHDOG, "serve"];
  const platform = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  strangers.push(platform);
  const found = new Map<string, string>();
  for await (const line of createInterface({ input: platform.stdout })) {
    const event = JSON.parse(line) as EndpointsEvent;
    if (event.type === "heartbeat") continue;
    const [ready] = event.function.endpoints.filter(({ state }) => state === "ready");
    if (ready) found.set(event.function.name, ready.address);
    if (names.every((name) => found.has(name))) break;
  }
  return { platform, addresses: names.map((name) => found.get(name) ?? "") };
}

test("replicas end with a platform that is killed", async () => {
  fixture = await openFixture();
  await fixture.addImage("echo", ECHO);
  await fixture.backend.functions.create(deployment("fn", "echo"));
  await fixture.backend.close(5_000);
  const { platform, addresses } = await runElsewhere(["fn"]);
  const { pid } = JSON.parse((await call(addresses[0] ?? "")).body) as { pid: number };
  platform.kill("SIGKILL");
  await until("the replica has noticed", () => !isAlive(pid));
});

test("what a killed platform has left behind is gone after the next start, and nobody else", async () => {
  fixture = await openFixture();
  // It never yields, so it cannot notice that its supervisor is gone, nor end what it has started, which has left its
  // process group. (Where there is a parent-death signal, the handler itself is gone by then.)
  await fixture.addImage(
    "deaf",
    inProcess(`
      import { spawn } from "node:child_process";
      const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
      export default (req, res) => {
        if (req.url === "/deaf") res.end("now", () => { for (;;); });
        else res.end(JSON.stringify([process.pid, child.pid]));
      };
    `),
  );
  await fixture.backend.functions.create(deployment("deaf", "deaf"));
  await fixture.backend.close(5_000);
  const { platform, addresses } = await runElsewhere(["deaf"]);
  const [address = ""] = addresses;
  const pids = JSON.parse((await call(address)).body) as number[];
  await call(address, "/deaf");
  platform.kill("SIGKILL");
  await until("the platform is gone", () => !isAlive(platform.pid ?? 0));
  const env = {
    PATH: process.env.PATH,
    FAASLANE_MARK: new OrphanProcesses(`${fixture.dataDir}-of-another`, log).mark("deaf-1"),
  };
  const stranger = spawn("sleep", ["1000"], { env, stdio: "ignore" });
  strangers.push(stranger);
  for (const pid of [pids[1] ?? 0, stranger.pid ?? 0]) expect(isAlive(pid)).toBe(true);

  await fixture.reopen();
  await until("all leftovers are gone", () => !pids.some(isAlive));
  expect(isAlive(stranger.pid ?? 0)).toBe(true);
  expect(fixture.logged.join()).toContain("killed orphaned processes of an earlier run");
  await untilReady(fixture.backend, "deaf");
  expect((await echo(fixture.backend, "deaf")) as unknown as number[]).not.toContain(pids[0]);
});
