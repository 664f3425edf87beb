import { spawn } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "@jest/globals";
import { applyStep, type State, type Step } from "./steps.ts";
import { ECHO, type LocalFixture, NAMESPACE, openFixture } from "./support.ts";

const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url));
/** Nothing of this test is about replicas: they are a program that ends at once. */
const NO_WATCHDOG = "/bin/true";

let fixture: LocalFixture;
afterEach(async () => {
  await fixture.close();
});

/** Lets a child write from number `start` on and kills it a moment after so many acknowledgements. */
async function writeUntilKilled(
  start: number,
  acknowledgements: number,
): Promise<{ done: Step[]; begun: Step | undefined }> {
  const args = [
    "--disable-warning=ExperimentalWarning",
    CHILD,
    fixture.dataDir,
    NO_WATCHDOG,
    "",
    "write",
    String(start),
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const done: Step[] = [];
  let begun: Step | undefined;
  let timer: NodeJS.Timeout | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as { begin?: Step; done?: Step };
    begun = message.begin;
    if (message.done) done.push(message.done);
    if (done.length >= acknowledgements) timer ??= setTimeout(() => child.kill("SIGKILL"), Math.random() * 5);
  }
  clearTimeout(timer);
  return { done, begun };
}

async function readState(): Promise<State> {
  const { functions, secrets, namespaces } = fixture.backend;
  const state = new Map<string, string>();
  for (const { name, envVars, replicas } of await functions.list(NAMESPACE)) {
    state.set(`function ${name}`, envVars?.n ?? "");
    state.set(`replicas ${name}`, String(replicas ?? 0));
  }
  for (const { name } of await secrets.list(NAMESPACE)) {
    const file = join(fixture.dataDir, "secrets", NAMESPACE, name);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    state.set(`secret ${name}`, await readFile(file, "utf8"));
  }
  for (const name of await namespaces.list()) if (name !== NAMESPACE) state.set(`namespace ${name}`, "");
  return state;
}

const sorted = (state: State) => [...state].sort(([a], [b]) => (a < b ? -1 : 1));

test("what was acknowledged is there after kill -9, at whatever moment it comes", async () => {
  fixture = await openFixture({ nodePath: NO_WATCHDOG });
  await fixture.addImage("fn", ECHO);
  await fixture.backend.close(1_000);

  let state: State = new Map();
  for (let round = 0; round < 6; round += 1) {
    const { done, begun } = await writeUntilKilled(round * 1000, 1 + Math.random() * 20);
    const acknowledged = done.reduce(applyStep, state);
    await fixture.reopen();
    const found = await readState();
    // The write that was under way may have made it or not, but not by half.
    const unfinished = begun ? applyStep(acknowledged, begun) : acknowledged;
    expect([sorted(acknowledged), sorted(unfinished)]).toContainEqual(sorted(found));

    const homes = await readdir(join(fixture.dataDir, "functions", NAMESPACE)).catch(() => []);
    const functions = [...found.keys()].flatMap((key) => /^function (.*)/.exec(key)?.[1] ?? []);
    for (const home of homes) expect(functions).toContain(home.split(".")[0]);
    const left = await readdir(join(fixture.dataDir, "secrets", NAMESPACE)).catch(() => []);
    expect(left.filter((name) => name.startsWith("."))).toEqual([]);
    state = found;
    await fixture.backend.close(1_000);
  }
  await fixture.reopen();
});
