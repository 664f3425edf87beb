#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { runCli } from "./program.ts";

const sourceRoot = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

// `faaslane logs … | head` closes the pipe when it has seen enough; that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  // A getter: touching standard input opens it, which only the commands that read it should do.
  get stdin() {
    return process.stdin;
  },
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  sourceRoot,
  version,
});
