import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";

/** The package as its users have it: packed, installed into an empty folder, and used from there. */
const run = promisify(execFile);
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let program = "";
let platform: ChildProcess | undefined;

const env = () => ({ PATH: process.env.PATH, HOME: folder.path, npm_config_cache: process.env.npm_config_cache });

beforeAll(async () => {
  folder = await temporaryFolder();
  // Or npm would look for a project further up.
  await writeFile(join(folder.path, "package.json"), '{ "private": true }');
  const packed = await run("npm", ["pack", "--pack-destination", folder.path], { cwd: join(ROOT, "dist/package") });
  const archive = packed.stdout.trim().split("\n").at(-1) as string;
  const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--no-save", `./${archive}`];
  // With the user's own npm settings, so that packages come from where they came from before.
  await run("npm", install, { cwd: folder.path });
  program = join(folder.path, "node_modules/.bin/faaslane");
}, 180_000);

afterAll(async () => {
  if (platform?.exitCode === null) platform.kill("SIGKILL");
  await folder.remove();
});

test("what is installed is JavaScript, and nothing for its development", async () => {
  const files = await readdir(join(folder.path, "node_modules/faaslane"), { recursive: true });
  // But for samples, which are for users to go on from.
  expect(files.filter((file) => file.endsWith(".ts") && !file.startsWith("templates/"))).toEqual([]);
  expect(files.filter((file) => /(^|\/)test\//.test(file) && !file.startsWith("templates/"))).toEqual([]);
  const packages = await readdir(join(folder.path, "node_modules"));
  expect(packages).not.toContain("jest");
  expect(packages).not.toContain("esbuild");
});

test("a function is written, served, called and gone with its platform", async () => {
  const cwd = folder.path;
  const { stdout } = await run(process.execPath, [program, "new", "--lang", "node", "greet"], { cwd, env: env() });
  expect(stdout).toContain("Function created in folder: greet");
  platform = spawn(process.execPath, [program, "start"], {
    cwd,
    env: { ...env(), port: "0", provider_port: "0", metrics_port: "0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(platform, "exit");
  let output = "";
  for (const stream of [platform.stdout, platform.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const call = await eventually("it says how to call", () => /curl (http:\S+)/.exec(output)?.[1], 60_000).catch(
    (cause: unknown) => {
      throw new Error(output, { cause });
    },
  );
  const answer = await fetch(call, { method: "POST", body: "hi" });
  expect(`${answer.status} ${answer.ok ? "" : await answer.text()}`).toBe("200 ");
  const { stdout: listed } = await run(process.execPath, [program, "list", "--gateway", new URL(call).origin], {
    cwd,
    env: env(),
  });
  expect(listed).toMatch(/^greet\s/m);
  platform.kill("SIGINT");
  expect(await ended).toEqual([0, null]);
  expect(output).not.toMatch(/warning|Error/i);
}, 120_000);
