import { setFlagsFromString } from "node:v8";
import { ConfigError } from "./env.ts";

/** A start that failed for a reason its message explains in one line; no stack is shown. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** What a process runs. */
export interface RunningProcess {
  /** How long a stop waits for what is under way, in milliseconds. */
  readonly drainTimeoutMs: number;
  close(): Promise<void>;
}

/** How long a start goes on that is asked to stop: what it waits for, a server's name say, may never come. */
const OPENING_MS = 5_000;

/** What closing may take beyond the drain: files are written, processes ended. */
const CLOSING_MS = 5_000;

/**
 * Signals that come so soon after the first say the same once more: a terminal's Ctrl-C reaches a server and npm, which
 * passes it on, and one that closes sends SIGHUP by its shell and by the kernel.
 */
const STUTTER_MS = 300;

/**
 * By so much in percent the heap may grow before what is garbage is collected. V8's own measure is the machine's memory,
 * of which a server that passes bodies on needs little: 160 MB of dead objects were nothing to it.
 */
const HEAP_GROWTH = 30;

/**
 * Runs a server until SIGINT, SIGTERM or SIGHUP, closes it, and exits with 0. A start that fails prints one line and exits
 * with 1, and so does a stop that takes much longer than its drain; a second signal does not wait any longer.
 * @param open gets a signal that aborts when the process is to stop, should that happen before it is done
 */
export async function runProcess(open: (signal: AbortSignal) => Promise<RunningProcess>): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`);
  // The reader may have gone, and a file may find no room: a server goes on without output.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve()));
  let stoppingSince: number | undefined;
  let isOpen = false;
  let unopened: NodeJS.Timeout | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stoppingSince !== undefined) {
        if (performance.now() - stoppingSince >= STUTTER_MS) process.exit(1);
        return;
      }
      stoppingSince = performance.now();
      if (!isOpen) unopened = setTimeout(() => process.exit(0), OPENING_MS);
      stopping.abort();
    });
  }
  try {
    const opened = await open(stopping.signal);
    isOpen = true;
    clearTimeout(unopened);
    await stopped;
    setTimeout(() => {
      process.stderr.write("faaslane: could not stop in time; what was under way is cut\n");
      process.exit(1);
    }, opened.drainTimeoutMs + CLOSING_MS).unref();
    await opened.close();
    process.exit(0);
  } catch (error) {
    failProcess(error);
  }
}

/** Ends this process, for a reason that no waiting mends, in one line. */
export function failProcess(error: unknown): never {
  process.stderr.write(`faaslane: ${describeStartError(error)}\n`);
  process.exit(1);
}

/** What a person who starts the process needs to know. */
export function describeStartError(error: unknown): string {
  if (error instanceof ConfigError || error instanceof StartError) return error.message;
  const { code, port, syscall, message, stack } = error as NodeJS.ErrnoException & { port?: number };
  if (code === "EADDRINUSE") return `port ${port} is in use; stop the other program or choose another port`;
  if (code === "ENOSPC" || code === "EDQUOT") return `data_dir: there is no space left on its disk: ${message}`;
  if (code === "ERR_SQLITE_ERROR") return `data_dir: a database in it cannot be used: ${message}`;
  if (syscall !== undefined) return message;
  return stack ?? message ?? String(error);
}
