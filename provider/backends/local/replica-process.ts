import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex, Readable } from "node:stream";
import { getSystemErrorMessage } from "node:util";
import { z } from "zod";
import { signalOfCode, signalQuietly } from "../../../kit/signal.ts";
import { CHANNEL_ENVIRONMENT, openChannel } from "./channel.ts";
import type { ReplicaEnd } from "./problem.ts";

/** What goes along with a process, from before its start until after its end. */
export interface ProcessHooks {
  /** `host:port` at which it is called, if not at the port of 127.0.0.1 that it tells. */
  readonly address?: string;
  /** @param kill ends the process at once */
  started(pid: number, kill: () => void): void;
  /**
   * Clears away what was prepared; called once, also when nothing was started.
   * @returns how the process really ended
   */
  ended(end: ReplicaEnd): Promise<ReplicaEnd>;
}

/** A watchdog to start. */
export interface ProcessSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Ends what the process has started and what has left its group since. */
  killOrphans?(): Promise<void>;
  /** Signals reach the process around the watchdog, not the watchdog: it gets them by its channel. */
  readonly enclosed?: boolean;
  readonly hooks?: ProcessHooks;
}

/** Where one stream of output goes. */
export interface OutputSink {
  write(chunk: Buffer): void;
  end(): void;
}

export interface ProcessEvents {
  /** At most once: the watchdog serves at this `host:port`. */
  onListening(address: string): void;
  /** Called for standard output and for standard error. */
  openOutput(): OutputSink;
}

export interface ReplicaProcess {
  /** Leader of the process group; undefined when it could not be started. */
  readonly pid: number | undefined;
  /** Resolves when the process has ended, all that it has started is gone and its output has been read. */
  readonly ended: Promise<ReplicaEnd>;
  /** Asks the watchdog to drain and go. */
  terminate(): void;
  /** Ends the whole process group at once. */
  kill(): void;
}

const listening = z.object({ type: z.literal("listening"), port: z.number().int().min(0).max(65535) });

/** For output that is still in the pipes of a process that has ended; a stray grandchild may hold them open forever. */
const OUTPUT_GRACE_MS = 500;

/**
 * Starts a watchdog in a process group of its own, with a channel whose end tells it that we are gone. Never throws: a
 * process for which there are no descriptors or no memory has ended as soon as it was started.
 */
export function startProcess(spec: ProcessSpec, events: ProcessEvents): ReplicaProcess {
  const child = trySpawn(spec);
  const settle = async (end: ReplicaEnd) => (await spec.hooks?.ended(end)) ?? end;
  if ("kind" in child) return { pid: undefined, ended: settle(child), terminate: () => {}, kill: () => {} };
  const unstarted = new Promise<ReplicaEnd>((resolve) => {
    // Listened to before anything else: after some failures the child has nothing else that could be used.
    child.on("error", (error) => {
      if (child.pid === undefined) resolve(couldNotStart(error));
    });
  });
  // After the same failures they are undefined.
  const outputs = [child.stdout, child.stderr].filter((stream) => stream != null);
  for (const stream of outputs) forward(stream, events.openOutput());
  // The pipe at the place of the channel goes both ways.
  const pipe = child.stdio?.[3] as Duplex | null | undefined;
  const channel =
    pipe &&
    openChannel(pipe, (message) => {
      const parsed = listening.safeParse(message);
      if (parsed.success) events.onListening(spec.hooks?.address ?? `127.0.0.1:${parsed.data.port}`);
      return parsed.success;
    });

  const killGroup = () => {
    if (child.pid !== undefined) signalQuietly(-child.pid, "SIGKILL");
  };
  const clear = async () => {
    channel?.close();
    // What the watchdog has left behind goes with it.
    killGroup();
    await spec.killOrphans?.();
  };
  const runs = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const kill = () => {
    if (runs()) killGroup();
  };
  if (child.pid !== undefined) spec.hooks?.started(child.pid, kill);
  return {
    pid: child.pid,
    ended: Promise.race([unstarted, ending(child, outputs, clear, spec.enclosed ?? false)]).then(settle),
    terminate: () => {
      if (!runs()) return;
      if (spec.enclosed) channel?.send({ type: "drain" });
      else child.kill("SIGTERM");
    },
    kill,
  };
}

function trySpawn({ command, args, cwd, env }: ProcessSpec): ChildProcess | ReplicaEnd {
  try {
    return spawn(command, args, {
      cwd,
      env: { ...env, ...CHANNEL_ENVIRONMENT },
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
  } catch (error) {
    // Some failures of the system call are thrown, the others are emitted.
    return couldNotStart(error);
  }
}

/** Not the whole message: it names paths of the platform, and this one is shown to callers. */
function couldNotStart(error: unknown): ReplicaEnd {
  const { code = "unknown", errno } = error as NodeJS.ErrnoException;
  const meaning = errno === undefined ? "" : `, ${getSystemErrorMessage(errno)}`;
  return { kind: "failed", message: `could not be started: ${code}${meaning}` };
}

function forward(stream: Readable, sink: OutputSink): void {
  stream.on("data", (chunk: Buffer) => sink.write(chunk));
  // `close` follows an error too, so an error of a pipe needs no handling.
  stream.on("error", () => {});
  stream.once("close", () => sink.end());
}

async function ending(
  child: ChildProcess,
  outputs: readonly Readable[],
  clear: () => Promise<void>,
  enclosed: boolean,
): Promise<ReplicaEnd> {
  const closed = new Promise<void>((done) => child.once("close", () => done()));
  const { promise, resolve } = Promise.withResolvers<{ end: ReplicaEnd; cleared: Promise<void> }>();
  child.once("exit", (code, signal) => {
    const end: ReplicaEnd = signal ? { kind: "killed", signal } : { kind: "exited", code: code ?? 0 };
    resolve({ end: enclosed ? unwrap(end) : end, cleared: clear() });
  });
  const { end, cleared } = await promise;
  const cut = setTimeout(() => {
    for (const stream of outputs) stream.destroy();
  }, OUTPUT_GRACE_MS);
  await Promise.all([closed, cleared]);
  clearTimeout(cut);
  return end;
}

function unwrap(end: ReplicaEnd): ReplicaEnd {
  const signal = end.kind === "exited" ? signalOfCode(end.code) : undefined;
  return signal === undefined ? end : { kind: "killed", signal };
}
