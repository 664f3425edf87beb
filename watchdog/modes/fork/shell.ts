import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { Readable } from "node:stream";
import type { ProcessEnd } from "../../child.ts";
import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import { killTree } from "../../kill-tree.ts";
import { openPipe, openPipeWriter, sendInput } from "../../pipes.ts";
import type { Job, Run } from "./launch.ts";
import { PipeOutput } from "./pipe-output.ts";
import { buildPreamble, buildScript, fdsOf, READY, REPORTS_FD } from "./shell-script.ts";

const SHELL = "/bin/sh";

const REPORT_BYTES = 64;
const LINE_END = 0x0a;
const ZERO = 0x30;

/** Our ends of the pipes of the next call. */
interface Pipes {
  readonly stdin: number;
  readonly stdout: PipeOutput;
  /** Undefined when stderr goes where stdout goes. */
  readonly stderr: PipeOutput | undefined;
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
  readonly #combineOutput: boolean;
  readonly #becomeReady: (ready: boolean) => void;
  #retired = false;
  #reports: Socket | undefined;
  /** Calls that have ended, which tells where the pipes of the next one are. */
  #turn = 0;
  #pipes: Pipes | undefined;
  /** Told how the call under way ends. */
  #current: PromiseWithResolvers<ProcessEnd> | undefined;

  /** @param combineOutput stderr goes where stdout goes */
  constructor(env: Env, combineOutput: boolean) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.ready = promise;
    this.#becomeReady = resolve;
    this.#combineOutput = combineOutput;
    this.#process = spawn(SHELL, [], { env, stdio: ["pipe", "pipe", "ignore"] });
    this.#process.on("error", () => this.retire());
    this.#process.once("exit", () => this.retire());
    this.#process.stdin?.on("error", () => this.retire());
    let said = "";
    this.#process.stdout?.setEncoding("latin1").on("data", (text: string) => {
      said += text;
      if (said === `${READY}\n`) this.#start();
    });
    this.#process.stdin?.write(buildPreamble(env, combineOutput));
  }

  /** Not to be used again. */
  get retired(): boolean {
    return this.#retired;
  }

  /**
   * Runs one call; one at a time, once it is ready.
   * @returns undefined when a shell cannot express it, or this one is of no use any more
   */
  run(command: Command, job: Job): Run | undefined {
    const script = buildScript(command, job.variables, this.#combineOutput, this.#turn);
    const pipes = script === undefined ? undefined : this.#openPipes();
    if (script === undefined || pipes === undefined) return undefined;
    this.#pipes = undefined;
    const ended = Promise.withResolvers<ProcessEnd>();
    this.#current = ended;
    // The input while the program starts, which takes it longer.
    this.#process.stdin?.write(script);
    return this.#connect(pipes, job, ended.promise);
  }

  /** Ends the shell and whatever runs in it. May be called twice. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#becomeReady(false);
    const { pid, exitCode, signalCode } = this.#process;
    if (pid !== undefined && exitCode === null && signalCode === null) killTree(pid);
    this.#process.stdin?.destroy();
    this.#reports?.destroy();
    this.#closePipes();
    this.#end({ kind: "signalled", signal: "SIGKILL" });
  }

  #start(): void {
    const buffer = Buffer.alloc(REPORT_BYTES);
    let status = 0;
    // A buffer of its own spares the stream and the memory that each line would take.
    const callback = (length: number) => {
      for (const byte of buffer.subarray(0, length)) {
        if (byte !== LINE_END) {
          status = status * 10 + (byte - ZERO);
          continue;
        }
        this.#endCall(statusEnd(status));
        status = 0;
      }
      return true;
    };
    try {
      const fd = openPipe(this.#process.pid as number, REPORTS_FD);
      this.#reports = new Socket({ fd, readable: true, writable: false, onread: { buffer, callback } } as object);
      this.#reports.on("error", () => this.retire());
      this.#becomeReady(this.#openPipes() !== undefined);
    } catch {
      this.retire();
    }
  }

  #endCall(end: ProcessEnd): void {
    this.#turn++;
    this.#end(end);
    // The answer of the call goes first; the next call may be there before.
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
    return {
      get stdout() {
        return stdout.stream;
      },
      stderr: stderr?.stream,
      hasRemark: stderr === undefined,
      ended,
      over: Promise.all([ended, stdout.closed]),
      // What goes to the log comes before what is said of the call's end, and streams keep that order.
      takeOutput: stderr === undefined ? (limitBytes) => stdout.take(limitBytes) : undefined,
      kill: () => {
        this.retire();
        stdout.destroy();
        stderr?.destroy();
      },
    };
  }

  /** Opens our ends unless they are open. Without a descriptor for one of them the shell is of no use. */
  #openPipes(): Pipes | undefined {
    if (this.#retired || this.#pipes !== undefined) return this.#pipes;
    const pid = this.#process.pid as number;
    const fds = fdsOf(this.#turn);
    const opened: number[] = [];
    try {
      opened.push(openPipeWriter(pid, fds.stdin), openPipe(pid, fds.stdout));
      if (!this.#combineOutput) opened.push(openPipe(pid, fds.stderr));
      const [stdin, stdout, stderr] = opened as [number, number, number | undefined];
      this.#pipes = {
        stdin,
        stdout: new PipeOutput(stdout),
        stderr: stderr === undefined ? undefined : new PipeOutput(stderr),
      };
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
    pipes.stderr?.destroy();
  }

  #end(end: ProcessEnd): void {
    const current = this.#current;
    this.#current = undefined;
    current?.resolve(end);
  }
}

/** By number; of two names the first, which is the one that Node tells of: SIGABRT, not SIGIOT. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name as NodeJS.Signals] as const)
    .reverse(),
);

/** A shell reports a signal as 128 plus its number; that a program may exit with such a code itself is lost here. */
function statusEnd(status: number): ProcessEnd {
  const signal = status > 128 ? SIGNAL_NAMES.get(status - 128) : undefined;
  return signal === undefined ? { kind: "exited", code: status } : { kind: "signalled", signal };
}
