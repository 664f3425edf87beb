import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, runCli, temporaryFolder } from "../support/platform.ts";

/** A function is written, watched, changed and called, with the real platform and the client as people start it. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let watching: ChildProcess | undefined;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path });
}, 120_000);

afterAll(async () => {
  watching?.kill("SIGKILL");
  platform?.kill("SIGKILL");
  await platform?.ended;
  await folder?.remove();
});

test("what is saved is live while up --watch runs, and a mistake does not end it", async () => {
  const env = { OPENFAAS_URL: platform.url, data_dir: join(folder.path, "data") };
  expect(await runCli(["new", "hi", "--lang", "node"], { cwd: folder.path, env })).toMatchObject({ code: 0 });
  const handler = join(folder.path, "hi/handler.js");
  const sample = await readFile(handler, "utf8");
  const answering = (text: string) => writeFile(handler, `module.exports = async () => ${JSON.stringify(text)};\n`);
  const says = async (text: string) =>
    await eventually(
      `it answers ${text}`,
      async () => (await (await fetch(`${platform.url}/function/hi`)).text()) === text,
      60_000,
      20,
    );

  await answering("first");
  let output = "";
  watching = spawn(process.execPath, [join(ROOT, "cli/main.ts"), "up", "--watch"], {
    cwd: folder.path,
    env: { PATH: process.env.PATH, HOME: folder.path, ...env },
  });
  const ended = once(watching, "exit");
  for (const stream of [watching.stdout, watching.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  await eventually("it watches", () => output.includes("Watching hi. Stop with Ctrl-C."), 60_000);
  await says("first");
  for (const text of ["second", "third"]) {
    await answering(text);
    const savedAt = performance.now();
    await says(text);
    process.stdout.write(`live ${Math.round(performance.now() - savedAt)} ms after it was saved\n`);
  }
  const stack = await readFile(join(folder.path, "stack.yaml"), "utf8");
  await writeFile(join(folder.path, "stack.yaml"), `${stack}functions: [`);
  await eventually("the mistake is told", () => output.includes("Error: stack.yaml:"), 60_000);
  await writeFile(join(folder.path, "stack.yaml"), stack);
  await answering("fourth");
  await says("fourth");
  await writeFile(handler, sample);
  watching.kill("SIGINT");
  expect(await ended).toEqual([null, "SIGINT"]);
  expect(output).toMatch(/^hi: changed handler\.js\nhi: deployed in \d+\.\d\d s$/m);
}, 300_000);
