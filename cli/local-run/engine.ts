import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { LOCAL_RUN_LABEL } from "./container.ts";

/** A program that builds images and runs containers. */
export interface Engine {
  readonly program: string;
  /** Runs it to its end, with its output shown. @throws {CliError} when it fails */
  run(args: readonly string[]): Promise<void>;
  /** Removes a container that an earlier `local-run` has left behind, or this one has started. */
  remove(name: string): void;
  /** Starts it. */
  start(args: readonly string[]): ChildProcess;
}

/** A daemon that hangs is none. */
const PROBE_MS = 10_000;

/** The first of `docker` and `podman` that works; undefined without either. */
export function findEngine({
  env,
  cwd,
  stdout,
  stderr,
}: Pick<Io, "env" | "cwd" | "stdout" | "stderr">): Engine | undefined {
  const environment = { ...env } as NodeJS.ProcessEnv;
  const program = ["docker", "podman"].find(
    (name) => spawnSync(name, ["version"], { env: environment, stdio: "ignore", timeout: PROBE_MS }).status === 0,
  );
  if (program === undefined) return undefined;
  const start = (args: readonly string[]) => {
    const child = spawn(program, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.setEncoding("utf8").on("data", (text: string) => stdout.write(text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr.write(text));
    return child;
  };
  return {
    program,
    start,
    remove: (name) => {
      const list = ["ps", "-aq", "--filter", `name=^${name}$`, "--filter", `label=${LOCAL_RUN_LABEL}`];
      const { stdout: ids } = spawnSync(program, list, { cwd, env: environment, encoding: "utf8" });
      const found = (ids ?? "").split("\n").filter((id) => id !== "");
      if (found.length > 0) spawnSync(program, ["rm", "-f", ...found], { cwd, env: environment, stdio: "ignore" });
    },
    run: async (args) => {
      const code = await exitOf(start(args));
      if (code !== 0) throw new CliError(`${program} ${args[0]} ended with ${code}`);
    },
  };
}

/** How a process has ended: its code, or the name of the signal. */
export async function exitOf(child: ChildProcess): Promise<number | string> {
  return await new Promise((resolve, reject) => {
    child.once("error", reject).once("close", (code, signal) => resolve(code ?? signal ?? 1));
  });
}
