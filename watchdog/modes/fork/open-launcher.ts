import { existsSync } from "node:fs";
import { collectBody } from "../../body.ts";
import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import { findProgram } from "../../find-program.ts";
import { OWN_VARIABLES } from "../../shell-words.ts";
import { DirectLauncher } from "./direct-launcher.ts";
import type { Launcher } from "./launch.ts";
import { Shell } from "./shell.ts";
import { ShellLauncher } from "./shell-launcher.ts";

const SELF_TEST_MS = 2000;

/**
 * The best way to start the function's program that this machine allows: through shells where there is one that behaves, and
 * directly elsewhere, as in images that hold nothing but the function.
 */
export async function openLauncher(command: Command, env: Env, combineOutput: boolean): Promise<Launcher> {
  const direct = new DirectLauncher(command, env, combineOutput);
  const program = findProgram(command[0], env.PATH);
  if (program === undefined || !canListChildren()) return direct;
  const shell = new Shell(env, combineOutput);
  if (await passesSelfTest(shell, env)) {
    return new ShellLauncher({ command: [program, ...command.slice(1)], env, combineOutput }, direct, shell);
  }
  shell.retire();
  return direct;
}

/** Runs `env` through a shell: it must hand over exactly our environment, and the pipes must work. */
async function passesSelfTest(shell: Shell, env: Env): Promise<boolean> {
  const program = findProgram("env", env.PATH);
  if (program === undefined) return false;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((done) => {
    timer = setTimeout(() => done(false), SELF_TEST_MS);
  });
  const passed = await Promise.race([late, printsEnvironment(shell, [program], env)]);
  clearTimeout(timer);
  return passed;
}

async function printsEnvironment(shell: Shell, command: Command, env: Env): Promise<boolean> {
  const probe = { FAASLANE_SELF_TEST: `it's "$HOME" \`x\` \\ \u00e9` };
  const expected: Env = { ...env, ...probe };
  const run = (await shell.ready) ? shell.run(command, { variables: probe, input: Buffer.from("x") }) : undefined;
  if (run === undefined) return false;
  run.stderr?.resume();
  const [read, end] = await Promise.all([collectBody(run.stdout, 4 * 1024 * 1024), run.ended]);
  if (read.kind !== "read" || end.kind !== "exited" || end.code !== 0) return false;
  const own = new Set<string>(OWN_VARIABLES.filter((name) => expected[name] === undefined));
  const lines = read.body.toString().split("\n");
  const printed = lines.filter((line) => line !== "" && !own.has(line.slice(0, line.indexOf("="))));
  const wanted = Object.entries(expected).flatMap(([name, value]) => `${name}=${value}`.split("\n"));
  return sameLines(
    printed,
    wanted.filter((line) => line !== ""),
  );
}

function sameLines(left: string[], right: string[]): boolean {
  return left.sort().join("\n") === right.sort().join("\n");
}

/** Without this a process that runs out of time could not be found behind its shell. */
function canListChildren(): boolean {
  return existsSync(`/proc/${process.pid}/task/${process.pid}/children`);
}
