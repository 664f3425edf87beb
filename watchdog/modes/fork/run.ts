import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { type ProcessEnd, processEnd } from "../../child.ts";
import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";

/** One process for one call. */
export interface Run {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the process itself has ended; what it wrote may still be on its way. */
  readonly ended: Promise<ProcessEnd>;
  kill(): void;
}

/** Starts the function's program. A failure to start is how it ends, not an exception. */
export function runProcess([program, ...args]: Command, env: Env): Run {
  const child: ChildProcess = spawn(program, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  const { stdin, stdout, stderr } = child as ChildProcess & { stdin: Writable; stdout: Readable; stderr: Readable };
  // A program need not read its input: it may end, or close it, before all is written.
  stdin.on("error", () => {});
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once("error", (error) => {
      if (child.pid === undefined) resolve({ kind: "unstarted", error });
    });
    child.once("exit", (code, signal) => resolve(processEnd(code, signal)));
  });
  return { stdin, stdout, stderr, ended, kill: () => void child.kill("SIGKILL") };
}
