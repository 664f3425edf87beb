import { type ChildProcess, spawn } from "node:child_process";
import { PassThrough, type Readable } from "node:stream";
import { type ProcessEnd, processEnd } from "../../child.ts";
import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import { killTree } from "../../kill-tree.ts";
import { closed } from "../../pipes.ts";
import type { Job, Launcher, Run } from "./launch.ts";

/**
 * Starts each process by itself. Works everywhere, but Node's pipes are sockets, which a program cannot open again as
 * `/dev/stdin` or `/dev/stderr`, and forking a process as large as Node is slow.
 */
export class DirectLauncher implements Launcher {
  readonly #command: Command;
  readonly #env: Env;
  readonly #combineOutput: boolean;
  readonly #running = new Set<Run>();

  /** @param combineOutput stderr goes where stdout goes */
  constructor(command: Command, env: Env, combineOutput: boolean) {
    this.#command = command;
    this.#env = env;
    this.#combineOutput = combineOutput;
  }

  launch(job: Job): Promise<Run> {
    const run = startDirect(this.#command, { ...this.#env, ...job.variables }, job.input, this.#combineOutput);
    this.#running.add(run);
    void run.ended.then(() => this.#running.delete(run));
    return Promise.resolve(run);
  }

  close(): void {
    for (const run of this.#running) run.kill();
  }
}

function startDirect([program, ...args]: Command, env: Env, input: Job["input"], combineOutput: boolean): Run {
  let child: ChildProcess;
  try {
    child = spawn(program, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  } catch (error) {
    // The system's limits on arguments and environment, say.
    return unstarted(Promise.resolve({ kind: "unstarted", error: error as NodeJS.ErrnoException }));
  }
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.on("error", (error) => {
      if (child.pid === undefined) resolve({ kind: "unstarted", error });
    });
    child.once("exit", (code, signal) => resolve(processEnd(code, signal)));
  });
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) return unstarted(ended); // no descriptors are left
  // A program need not read its input: it may end, or close it, before all is written.
  stdin.on("error", () => {});
  const stream = Buffer.isBuffer(input) ? undefined : input;
  if (stream === undefined) stdin.end(input);
  else stream.pipe(stdin);
  const output = combineOutput ? merge(stdout, stderr) : stdout;
  return {
    stdout: output,
    stderr: combineOutput ? undefined : stderr,
    ended,
    over: Promise.all([ended, closed(output)]),
    kill() {
      stream?.unpipe(stdin);
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killTree(child.pid);
      stdout.destroy();
      stderr.destroy();
    },
  };
}

function unstarted(ended: Promise<ProcessEnd>): Run {
  const nothing = () => new PassThrough().end();
  return { stdout: nothing(), stderr: nothing(), ended, over: ended, kill: () => {} };
}

/** Both streams in the order in which their parts arrive. */
function merge(...sources: readonly Readable[]): Readable {
  const merged = new PassThrough();
  let open = sources.length;
  for (const source of sources) {
    source.pipe(merged, { end: false });
    source.once("close", () => {
      open--;
      if (open === 0) merged.end();
    });
  }
  return merged;
}
