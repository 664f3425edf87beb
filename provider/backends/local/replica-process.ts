import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { z } from "zod";
import type { ProcessEnd } from "./problem.ts";

/** A watchdog to start. */
export interface ProcessSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Where one stream of output goes. */
export interface OutputSink {
  write(chunk: Buffer): void;
  end(): void;
}

export interface ProcessEvents {
  /** At most once: the watchdog serves on this port of 127.0.0.1. */
  onListening(port: number): void;
  /** Called for standard output and for standard error. */
  openOutput(): OutputSink;
}

export interface ReplicaProcess {
  /** Leader of the process group; undefined when it could not be started. */
  readonly pid: number | undefined;
  /** Resolves when the process has ended, its group is gone and its output has been read. */
  readonly ended: Promise<ProcessEnd>;
  /** Asks the watchdog to drain and go. */
  terminate(): void;
  /** Ends the whole process group at once. */
  kill(): void;
}

const listening = z.object({ type: z.literal("listening"), port: z.number().int().min(1).max(65535) });

/** For output that is still in the pipes of a process that has ended; a stray grandchild may hold them open forever. */
const OUTPUT_GRACE_MS = 500;

/** Starts a watchdog in a process group of its own, with a channel whose end tells it that we are gone. */
export function startProcess(spec: ProcessSpec, events: ProcessEvents): ReplicaProcess {
  const started = trySpawn(spec);
  if ("kind" in started) {
    return { pid: undefined, ended: Promise.resolve(started), terminate: () => {}, kill: () => {} };
  }
  const child = started;
  child.on("message", function onMessage(message) {
    const parsed = listening.safeParse(message);
    if (!parsed.success) return;
    child.off("message", onMessage);
    events.onListening(parsed.data.port);
  });
  const outputs = [child.stdout, child.stderr].filter((stream) => stream !== null);
  for (const stream of outputs) forward(stream, events.openOutput());

  const killGroup = () => {
    if (child.pid !== undefined) signalQuietly(-child.pid, "SIGKILL");
  };
  return {
    pid: child.pid,
    ended: ending(child, outputs, killGroup),
    terminate: () => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    },
    kill: () => {
      if (child.exitCode === null && child.signalCode === null) killGroup();
    },
  };
}

function trySpawn({ command, args, cwd, env }: ProcessSpec): ChildProcess | ProcessEnd {
  try {
    return spawn(command, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  } catch (error) {
    // Some failures of the system call are thrown, the others are emitted.
    return couldNotStart(error);
  }
}

/** Only the code: the message names paths of the platform, and this one is shown to callers. */
function couldNotStart(error: unknown): ProcessEnd {
  return { kind: "failed", message: `could not be started: ${(error as NodeJS.ErrnoException).code ?? "unknown"}` };
}

function forward(stream: Readable, sink: OutputSink): void {
  stream.on("data", (chunk: Buffer) => sink.write(chunk));
  // Closing follows an error too, and says all there is to say about a pipe.
  stream.on("error", () => {});
  stream.once("close", () => sink.end());
}

async function ending(child: ChildProcess, outputs: readonly Readable[], killGroup: () => void): Promise<ProcessEnd> {
  const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
  const closed = new Promise<void>((done) => child.once("close", () => done()));
  child.once("exit", (code, signal) => {
    // What the watchdog has left behind goes with it.
    killGroup();
    resolve(signal ? { kind: "killed", signal } : { kind: "exited", code: code ?? 0 });
  });
  child.on("error", (error) => {
    if (child.pid === undefined) resolve(couldNotStart(error));
  });
  const end = await promise;
  if (end.kind === "failed") return end;
  const cut = setTimeout(() => {
    for (const stream of outputs) stream.destroy();
  }, OUTPUT_GRACE_MS);
  await closed;
  clearTimeout(cut);
  return end;
}

/**
 * Sends a signal to a process or, below zero, to a group. One that is gone already, or that has become another user's
 * (a function may start programs that do), is left alone.
 */
export function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}
