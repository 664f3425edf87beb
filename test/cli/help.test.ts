import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { beforeAll, describe, expect, test } from "@jest/globals";
import type { Command } from "commander";
import { describeTree, flatten } from "../../cli/completion/describe-tree.ts";
import { HINTED } from "../../cli/hints.ts";
import { buildProgram } from "../../cli/program.ts";
import { makeWorkspace, ROOT, runHere } from "./support/run-cli.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
let program: Command;
let paths: string[];

beforeAll(async () => {
  const nowhere = { write: () => true } as unknown as NodeJS.WriteStream;
  const io = { stdout: nowhere, stderr: nowhere, stdin: Readable.from([]), env: {}, cwd: "/", home: "/" };
  program = await buildProgram("all", { ...io, sourceRoot: ROOT, version: "1.2.3", commit: COMMIT });
  paths = flatten(describeTree(program)).map(({ path }) => path);
});

async function helpOf(path: string): Promise<string> {
  await using workspace = await makeWorkspace();
  const words = path === "" ? [] : path.split(" ");
  const { code, stdout, stderr } = await runHere([...words, "--help"], { cwd: workspace.path });
  expect({ path, code, stderr }).toEqual({ path, code: 0, stderr: "" });
  return stdout;
}

test("the help of every command says what it does and has an example that names it", async () => {
  for (const path of paths) {
    const help = await helpOf(path);
    expect(`${path}: ${help.split("\n")[2]}`).toMatch(/: [A-Za-z]/);
    const examples = help.slice(help.indexOf("\nExample")).replaceAll("namespaces", "namespace list");
    expect(`${path}:${examples}`).toContain(`faaslane ${path}`.trim());
  }
});

test("examples use flags that their commands have", async () => {
  for (const { path, flags, children } of flatten(describeTree(program))) {
    if (children.length > 0) continue;
    const known = [...flags, ...describeTree(program).flags].flatMap(({ long, short = "" }) => [long, short]);
    const help = await helpOf(path);
    const examples = help.slice(help.indexOf("\nExample")).split("\n").slice(2);
    for (const line of examples) {
      const command = line.slice(line.indexOf(`faaslane ${path}`)).split(/[|&>]/)[0] as string;
      const used = command.replace(/'[^']*'/g, "").match(/(?<= )--?[a-z][a-z-]*/g) ?? [];
      for (const flag of used) expect([path, flag, known.includes(flag)]).toEqual([path, flag, true]);
    }
  }
});

test.each(["pro", "push", "chart", "plugin", "registry-login"])("%s says what to use", async (name) => {
  expect(HINTED).toContain(name);
  await using workspace = await makeWorkspace();
  const { code, stdout, stderr } = await runHere([name, "--parallel", "4", "x"], { cwd: workspace.path });
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(new RegExp(`^Error: there is no command ${name}: .*\`.+\`.*\n$`));
});

test("a word that names a command elsewhere may be an argument here", async () => {
  await using workspace = await makeWorkspace();
  const { stderr } = await runHere(["describe", "push", "-g", "http://127.0.0.1:1"], { cwd: workspace.path });
  expect(stderr).toContain("cannot reach the gateway");
  expect((await runHere(["dscribe", "push"], { cwd: workspace.path })).stderr).toContain("no command dscribe");
});

test("the version names release and commit", async () => {
  await using workspace = await makeWorkspace();
  const run = async (line: string) => (await runHere(line.split(" "), { cwd: workspace.path })).stdout;
  expect(await run("--version")).toBe(`faaslane 1.2.3 (commit ${COMMIT})\n`);
  expect(await run("version --short-version")).toBe("1.2.3\n");
  expect(JSON.parse(await run("version --json -g http://127.0.0.1:1"))).toEqual({
    cli: { version: "1.2.3", commit: COMMIT },
    gateway: null,
  });
});

test("the executable names nothing that an older Node lacks before it has looked at its version", () => {
  // Ours knows them all, so they are named here; what comes later is imported later.
  const known = [
    'import { existsSync, readFileSync } from "node:fs";',
    'import nodeModule from "node:module";',
    'import { fileURLToPath } from "node:url";',
    'import { isInRange } from "./node-range.ts";',
  ];
  const text = readFileSync(join(ROOT, "cli/main.ts"), "utf8");
  expect(text.match(/^import .+$/gm)).toEqual(known);
});

test("the compiled client has no messages in other languages, which take a third of its start", () => {
  const folder = join(ROOT, "dist/package/cli");
  const files = readdirSync(folder).filter((name) => name.endsWith(".js"));
  expect(files.some((name) => name.startsWith("gateway-client-"))).toBe(true);
  expect(files.filter((name) => readFileSync(join(folder, name), "utf8").includes("Ugyldig"))).toEqual([]);
});

test("the compiled client loads every command, and knows its commit", () => {
  const main = join(ROOT, "dist/package/cli/main.js");
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [main, ...args], { encoding: "utf8", timeout: 60_000 });
  expect(run("completion", "--shell", "bash")).toMatchObject({ status: 0, stderr: "" });
  expect(run("--version").stdout).toMatch(/^faaslane \S+ \(commit ([0-9a-f]{40}|unknown)\)\n$/);
});

describe("completion", () => {
  test("needs a shell that it knows", async () => {
    await using workspace = await makeWorkspace();
    for (const args of [["completion"], ["completion", "tcsh"]]) {
      const { code, stderr } = await runHere(args, { cwd: workspace.path });
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: "Error: say which shell: faaslane completion bash|zsh|fish\n",
      });
    }
  });

  test.each(["zsh", "fish"])("%s is told of every command and flag", async (shell) => {
    await using workspace = await makeWorkspace();
    const { stdout } = await runHere(["completion", shell], { cwd: workspace.path });
    for (const { path, flags } of flatten(describeTree(program))) {
      expect(stdout).toContain(path);
      for (const { long } of flags) expect(stdout).toContain(shell === "fish" ? `-l ${long.slice(2)}` : `'${long}:`);
    }
  });

  test("bash completes commands, flags and functions", async () => {
    await using workspace = await makeWorkspace();
    const { stdout } = await runHere(["completion", "bash"], { cwd: workspace.path });
    const cases: [line: string[], offered: string][] = [
      [["sec"], "secret"],
      [["queue", "dead-letters", "re"], "replay"],
      [["-f", "secret", "desc"], "describe"],
      [["rm", "he"], "hello"],
      [["secret", "create", "x", "--from-l"], "--from-literal"],
      [["namespaces", "up"], "update"],
    ];
    const words = (line: string[]) => line.map((word) => `'${word}'`).join(" ");
    const script = `${stdout}
faaslane() { printf 'hello\\nother\\nhe$(touch ran)\\nhe;touch ran\\n'; }
try() { COMP_WORDS=(faaslane "$@"); COMP_CWORD=$#; _faaslane; printf '%s\\n' "\${COMPREPLY[*]}"; }
${cases.map(([line]) => `try ${words(line)}`).join("\n")}
`;
    const file = join(workspace.path, "script");
    await writeFile(file, script);
    const { stdout: offered, stderr } = spawnSync("bash", [file], { encoding: "utf8", timeout: 60_000 });
    expect({ offered, stderr }).toEqual({ offered: cases.map(([, word]) => `${word}\n`).join(""), stderr: "" });
  });
});
