import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { Readable, type Writable } from "node:stream";
import type { ProcessEnd } from "../../child.ts";
import type { Env } from "../../env.ts";
import { killTree } from "../../kill-tree.ts";
import { LineSplitter } from "../../lines.ts";
import { openPipeReader, openPipeWriter, sendInput } from "../../pipes.ts";
import type { Job, Run } from "./launch.ts";
import { buildPreamble, GO, OPENED, READY, STDERR_FD, STDIN_FD, STDOUT_FD } from "./shell-script.ts";

const SHELL = "/bin/sh";

/** One call in a shell. */
interface Current {
  readonly job: Job;
  /** Undefined: the shell failed before the program could start. */
  readonly started: (run: Run | undefined) => void;
  readonly ended: PromiseWithResolvers<ProcessEnd>;
}

/**
 * A small shell that waits for calls and forks their processes, one at a time: forking it costs a fraction of forking Node.
 * The processes get true pipes; unlike the sockets Node makes, programs may open them again as `/dev/stdin` and the like.
 */
export class Shell {
  /** Resolves when it can take calls; false when it never will. */
  readonly ready: Promise<boolean>;
  /** Performance clock, when the last call ended. */
  idleSince = 0;
  readonly #process: ChildProcess;
  readonly #becomeReady: (ready: boolean) => void;
  #retired = false;
  #current: Current | undefined;

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

  /** Not to be used again. */
  get retired(): boolean {
    return this.#retired;
  }

  /**
   * Runs a script made by `buildScript`; one at a time.
   * @returns undefined when the shell failed before the program could start
   */
  run(script: string, job: Job): Promise<Run | undefined> {
    if (this.#retired) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#current = { job, started: resolve, ended: Promise.withResolvers() };
      this.#process.stdin?.write(script);
    });
  }

  /** Ends the shell and whatever runs in it. May be called twice. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#becomeReady(false);
    const { pid, exitCode, signalCode } = this.#process;
    if (pid !== undefined && exitCode === null && signalCode === null) killTree(pid);
    this.#process.stdin?.destroy();
    this.#end({ kind: "signalled", signal: "SIGKILL" });
  }

  #report(line: string): void {
    if (line === READY) this.#becomeReady(true);
    else if (line === OPENED) this.#start();
    else this.#end(statusEnd(Number(line)));
  }

  #start(): void {
    const current = this.#current;
    if (current === undefined) return;
    try {
      current.started(this.#connect(current));
      this.#process.stdin?.write(GO);
    } catch {
      this.retire(); // no descriptors are left, say: the caller goes another way
    }
  }

  #connect({ job, ended }: Current): Run {
    const { stdin, stdout, stderr } = this.#openPipes(job);
    const closeInput = () => {
      if (stdin === undefined) return;
      if (job.input instanceof Readable) job.input.unpipe(stdin);
      stdin.destroy();
    };
    void ended.promise.then(closeInput);
    const kill = () => {
      this.retire();
      stdout.destroy();
      stderr?.destroy();
    };
    return { stdout, stderr, ended: ended.promise, kill };
  }

  /** @throws when the system has no descriptor for one of them; the others are closed again */
  #openPipes(job: Job): { stdin: Writable | undefined; stdout: Readable; stderr: Readable | undefined } {
    const pid = this.#process.pid as number;
    const opened: Readable[] = [];
    try {
      const stdout = openPipeReader(pid, STDOUT_FD);
      opened.push(stdout);
      const stderr = job.combineOutput ? undefined : openPipeReader(pid, STDERR_FD);
      if (stderr !== undefined) opened.push(stderr);
      return { stdin: sendInput(openPipeWriter(pid, STDIN_FD), job.input), stdout, stderr };
    } catch (error) {
      for (const stream of opened) stream.destroy();
      throw error;
    }
  }

  #end(end: ProcessEnd): void {
    const current = this.#current;
    this.#current = undefined;
    current?.started(undefined); // does nothing when it has started
    current?.ended.resolve(end);
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
