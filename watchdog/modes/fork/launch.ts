import type { Readable } from "node:stream";
import type { ProcessEnd } from "../../child.ts";

/** One call's process, as it is wanted. */
export interface Job {
  /** Added to the environment that all calls share. */
  readonly variables: Readonly<Record<string, string>>;
  /** What its stdin holds; a stream is passed on as it comes. */
  readonly input: Buffer | Readable;
}

/**
 * All that a process has printed when it and all that it has started are done with its output. "nothing": it may print yet.
 * "streamed": it has printed, and may print more, or it was too much; what there is is in its stream.
 */
export type TakenOutput = Buffer | "nothing" | "streamed";

/** One call's process, as it runs. */
export interface Run {
  readonly stdout: Readable;
  /** Undefined when it is part of stdout. */
  readonly stderr: Readable | undefined;
  /** Whether `stdout` ends with a shell's words about the signal that has ended the process. */
  readonly hasRemark?: boolean;
  /** Resolves when the process itself has ended; what it wrote may still be on its way. */
  readonly ended: Promise<ProcessEnd>;
  /** Resolves when the process has ended, and nobody holds its output any more. */
  readonly over: Promise<unknown>;
  /** All that it has printed, without waiting, for who has not asked for `stdout`: most calls need no stream. */
  readonly takeOutput?: ((limitBytes: number) => TakenOutput) | undefined;
  /** Kills it and what it has started, and gives its output up. */
  kill(): void;
}

/** Starts processes of the function's program. */
export interface Launcher {
  /** Never rejects: that a program cannot be started is how it ends. */
  launch(job: Job): Promise<Run>;
  /** Kills whatever runs and frees what was kept ready. May be called twice. */
  close(): void;
}
