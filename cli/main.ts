#!/usr/bin/env node
import { existsSync, readFileSync } from "node:fs";
// By its default export: a name that an older Node lacks would end the process before it can say which Node it needs.
import nodeModule from "node:module";
import { fileURLToPath } from "node:url";
import { isInRange } from "./node-range.ts";

const sourceRoot = fileURLToPath(new URL("..", import.meta.url));
const { version, engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
  engines: { node: string };
};

if (!isInRange(process.versions.node, engines.node)) {
  process.stderr.write(
    `faaslane needs Node.js ${engines.node.replace(" || ", " or ")}; this is ${process.versions.node}, at ${process.execPath}; https://nodejs.org has it\n`,
  );
  process.exit(1);
}

// `faaslane logs … | head` closes the pipe when it has seen enough; that is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(process.exitCode ?? 0);
    throw error;
  });
}

// That Node's SQLite is young is no news to users; other warnings are printed as Node does.
process.removeAllListeners("warning").on("warning", ({ name, message }) => {
  if (name !== "ExperimentalWarning") process.stderr.write(`(node:${process.pid}) ${name}: ${message}\n`);
});

// Stripping the types of every source takes longer than all that a client command does.
const cache = `${sourceRoot}node_modules/.cache`;
if (import.meta.url.endsWith(".ts") && existsSync(cache)) nodeModule.enableCompileCache(`${cache}/node`);

// Only now: an older Node does not know what it is written in.
if (["build", "publish"].includes(process.argv[2] ?? "")) (await import("./spare-memory.ts")).spareMemory();
const { runCli } = await import("./program.ts");
const { homeFolder } = await import("./home-folder.ts");
const { readVersion } = await import("../kit/version.ts");
const cwd = workingDirectory();
process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  // A getter: touching standard input opens it, which only the commands that read it should do.
  get stdin() {
    return process.stdin;
  },
  env: process.env,
  cwd,
  // A getter: a user that the system does not know has none, and few commands ask.
  get home() {
    return homeFolder();
  },
  sourceRoot,
  version,
  get commit() {
    return readVersion(sourceRoot).sha;
  },
});

/** Ends the process where there is none: every command has something to do with it. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    process.stderr.write("Error: the working directory is gone, or may not be seen: change to another one\n");
    process.exit(1);
  }
}
