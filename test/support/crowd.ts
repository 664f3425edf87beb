import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export type CrowdKind =
  /** Each has made one call, and keeps its connection. */
  | "idle"
  /** A byte of a head a second. */
  | "slow-head"
  /** A byte of a body a second. */
  | "slow-body";

/** Many clients of the function `f` at one port. */
export class CrowdProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when all have a connection, or have been turned away. */
  static async open(port: number, kind: CrowdKind, count: number): Promise<CrowdProcess> {
    const program = fileURLToPath(new URL("crowd-process.mjs", import.meta.url));
    const child = fork(program, [String(port), kind, String(count)], { execArgv: [] });
    await once(child, "message");
    return new CrowdProcess(child);
  }

  /** How many connections there are, and how many have been closed by the other side. */
  async count(): Promise<{ open: number; lost: number }> {
    const answer = once(this.#child, "message");
    this.#child.send("count");
    return (await answer)[0] as { open: number; lost: number };
  }

  /** All leave without a word. */
  async leave(): Promise<void> {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}

/** What to put before a command so that it may open many files, and how many that is: as root, as many as are asked for. */
export function withDescriptors(wanted: number): { prefix: readonly string[]; descriptors: number } {
  const prefix = ["prlimit", `--nofile=${wanted}:${wanted}`];
  if (spawnSync(prefix[0] as string, [...prefix.slice(1), "true"]).status === 0) return { prefix, descriptors: wanted };
  const { stdout } = spawnSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" });
  return { prefix: [], descriptors: stdout.trim() === "unlimited" ? wanted : Number(stdout) };
}
