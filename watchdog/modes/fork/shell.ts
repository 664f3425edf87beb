import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { Readable } from "node:stream";
import type { ProcessEnd } from "../../child.ts";
import type { Env } from "../../env.ts";
import { killTree } from "../../kill-tree.ts";
import { LineSplitter } from "../../lines.ts";
import { openPipe, openPipeWriter, sendInput } from "../../pipes.ts";
import type { Job, Run } from "./launch.ts";
import { PipeOutput } from "./pipe-output.ts";
import { buildPreamble, READY, STDERR_FD, STDIN_FD, STDOUT_FD } from "./shell-script.ts";

const SHELL = "/bin/sh";

/** Our ends of the pipes of the next call. */
interface Pipes {
  readonly stdin: number;
  readonly stdout: PipeOutput;
  readonly stderr: PipeOutput;
}

/**
 * A small shell that waits for calls and forks their processes, one at a time: forking it costs a fraction of forking Node.
 * The processes get true pipes; unlike the sockets Node makes, programs may open them again as `/dev/stdin` and the like.
 */
export class Shell {
  /** Resolves when it can take a call; false when it never will. */
  ready: Promise<boolean>;
  /** Performance clock, when the last call ended. */
  idleSince = 0;
  readonly #process: ChildProcess;
  #becomeReady: (ready: boolean) => void;
  #retired = false;
  #pipes: Pipes | undefined;
  /** Told how the call under way ends. */
  #current: PromiseWithResolvers<ProcessEnd> | undefined;

  constructor(env: Env) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.ready = promise;
    this.#becomeReady = resolve;
    this.#process = spawn(SHELL, [], { env, stdio: ["pipe", "pipe", "ignore"] });
    this.#process.on("error", () => this.retire());
    this.#process.once("exit", () => this.retire());
    this.#process.stdin?.on("error", () => this.retire());
    const lines = new LineSplitter(64);
    this.#process.stdout?.on("data", (chunk: Buffer) => {
      for (const line of lines.push(chunk)) this.#report(line.toString("latin1"));
    });
    this.#process.stdin?.write(buildPreamble(env));
  }

  /** Whether the pipes of its next call are open already, so that it starts at once. */
  get prepared(): boolean {
    return this.#pipes !== undefined;
  }

  /** Not to be used again. */
  get retired(): boolean {
    return this.#retired;
  }

  /**
   * Runs a script made by `buildScript`; one at a time.
   * @returns undefined when the shell is of no use any more
   */
  run(script: string, job: Job): Run | undefined {
    const pipes = this.#openPipes();
    if (pipes === undefined) return undefined;
    this.#pipes = undefined;
    const ready = Promise.withResolvers<boolean>();
    this.ready = ready.promise;
    this.#becomeReady = ready.resolve;
    const ended = Promise.withResolvers<ProcessEnd>();
    this.#current = ended;
    // The input first: a program that reads none of it may have ended, and its pipe with it, a moment after the script.
    const run = this.#connect(pipes, job, ended.promise);
    this.#process.stdin?.write(script);
    return run;
  }

  /** Ends the shell and whatever runs in it. May be called twice. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#becomeReady(false);
    const { pid, exitCode, signalCode } = this.#process;
    if (pid !== undefined && exitCode === null && signalCode === null) killTree(pid);
    this.#process.stdin?.destroy();
    this.#closePipes();
    this.#end({ kind: "signalled", signal: "SIGKILL" });
  }

  #report(line: string): void {
    if (line !== READY) {
      this.#end(statusEnd(Number(line)));
      return;
    }
    this.#becomeReady(true);
    // The answer of the call that has ended goes first; the next call may be there before.
    setImmediate(() => {
      if (this.#current === undefined) this.#openPipes();
    });
  }

  #connect({ stdin: fd, stdout, stderr }: Pipes, job: Job, ended: Promise<ProcessEnd>): Run {
    const stdin = sendInput(fd, job.input);
    if (stdin !== undefined) {
      void ended.then(() => {
        if (job.input instanceof Readable) job.input.unpipe(stdin);
        stdin.destroy();
      });
    }
    if (job.combineOutput) stderr.destroy();
    return {
      get stdout() {
        return stdout.stream;
      },
      stderr: job.combineOutput ? undefined : stderr.stream,
      ended,
      over: Promise.all([ended, stdout.closed]),
      // What goes to the log comes before what is said of the call's end, and streams keep that order.
      takeOutput: job.combineOutput ? (limitBytes) => stdout.take(limitBytes) : undefined,
      kill: () => {
        this.retire();
        stdout.destroy();
        stderr.destroy();
      },
    };
  }

  /** Opens our ends unless they are open. Without a descriptor for one of them the shell is of no use. */
  #openPipes(): Pipes | undefined {
    if (this.#retired || this.#pipes !== undefined) return this.#pipes;
    const pid = this.#process.pid as number;
    const opened: number[] = [];
    try {
      opened.push(openPipe(pid, STDOUT_FD), openPipe(pid, STDERR_FD), openPipeWriter(pid, STDIN_FD));
      const [stdout, stderr, stdin] = opened as [number, number, number];
      this.#pipes = { stdin, stdout: new PipeOutput(stdout), stderr: new PipeOutput(stderr) };
    } catch {
      for (const fd of opened) closeSync(fd);
      this.retire(); // the caller goes another way
    }
    return this.#pipes;
  }

  #closePipes(): void {
    const pipes = this.#pipes;
    if (pipes === undefined) return;
    this.#pipes = undefined;
    closeSync(pipes.stdin);
    pipes.stdout.destroy();
    pipes.stderr.destroy();
  }

  #end(end: ProcessEnd): void {
    const current = this.#current;
    this.#current = undefined;
    current?.resolve(end);
  }
}

const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** A shell reports a signal as 128 plus its number; that a program may exit with such a code itself is lost here. */
function statusEnd(status: number): ProcessEnd {
  const signal = status > 128 ? SIGNAL_NAMES.get(status - 128) : undefined;
  return signal === undefined ? { kind: "exited", code: status } : { kind: "signalled", signal };
}
