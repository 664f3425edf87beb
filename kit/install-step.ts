import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { LineCutter } from "./line-cutter.ts";
import { OutputBudget } from "./output-budget.ts";
import { signalOfCode } from "./signal.ts";

export interface InstallStep {
  readonly command: readonly string[];
  /** The unpacked context, which the command may change. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  /** It runs in something that ends for it, see `signalOfCode`. */
  readonly enclosed?: boolean;
  /** Ends what the command has started and what has left its group since. */
  killOrphans?(): Promise<void>;
}

/** How a step ended: well, or why not. */
export type InstallResult = { readonly kind: "done" } | { readonly kind: "failed"; readonly why: string };

/** How long output of a process that has left the group may hold up a step whose command has ended. */
const OUTPUT_GRACE_MS = 1000;

/**
 * Runs the command in a process group of its own and yields its output in batches of lines, as they come. Nothing that
 * it has started is left when it ends, whichever way: by itself, late, by `signal`, or as the reader stops.
 */
export async function* runInstall(step: InstallStep, signal: AbortSignal): AsyncGenerator<string[], InstallResult> {
  const started = trySpawn(step);
  if ("error" in started) return { kind: "failed", why: couldNotStart(started.error) };
  const { child } = started;
  const ending = waitForEnd(child, step);
  const mailbox = new Mailbox();
  const budget = new OutputBudget(step.maxOutputBytes);
  // Undefined where there were no descriptors for them; the child has not been started then.
  for (const source of [child.stdout, child.stderr]) if (source) collect(source, budget, mailbox);

  let stopped: string | undefined;
  const stop = (why: string) => {
    stopped ??= why;
    killGroup(child);
  };
  const late = setTimeout(() => stop(`took longer than ${step.timeoutMs / 1000} s`), step.timeoutMs);
  const onAbort = () => stop("was stopped");
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();

  let result: InstallResult | undefined;
  const ended = ending.then((why) => {
    const failure = stopped ?? why;
    result = failure === undefined ? { kind: "done" } : { kind: "failed", why: failure };
    mailbox.wake();
  });
  try {
    while (!result) {
      await mailbox.filled();
      const lines = mailbox.empty();
      if (lines.length > 0) yield lines;
    }
    const rest = mailbox.empty();
    if (rest.length > 0) yield rest;
    return result;
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", onAbort);
    killGroup(child);
    await ended;
  }
}

function trySpawn(step: InstallStep): { readonly child: ChildProcess } | { readonly error: unknown } {
  const { command, cwd, env } = step;
  const [program = "", ...args] = command;
  try {
    return { child: spawn(program, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] }) };
  } catch (error) {
    // Some failures of the system call are thrown, the others are emitted.
    return { error };
  }
}

const couldNotStart = (error: unknown) => `could not be started: ${(error as Error).message}`;

/** Lines that wait for the reader. */
class Mailbox {
  #lines: string[] = [];
  #next = Promise.withResolvers<void>();

  add(lines: readonly string[]): void {
    if (lines.length === 0) return;
    this.#lines.push(...lines);
    this.wake();
  }

  wake(): void {
    this.#next.resolve();
  }

  /** Resolves once there is something to see. */
  filled(): Promise<void> {
    return this.#next.promise;
  }

  empty(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    this.#next = Promise.withResolvers();
    return lines;
  }
}

/** Longer lines are shown in pieces. */
const MAX_LINE_CHARACTERS = 8 * 1024;

const withoutReturn = (line: string) => (line.endsWith("\r") ? line.slice(0, -1) : line);

/** Each source has a cutter of its own, so that lines are not mixed up. */
function collect(source: Readable, budget: OutputBudget, mailbox: Mailbox): void {
  const cutter = new LineCutter(MAX_LINE_CHARACTERS, "split");
  const end = () => {
    const last = cutter.end();
    return last === "" ? [] : [last];
  };
  source.on("data", (chunk: Buffer) => {
    const { shown, cut } = budget.take(chunk);
    mailbox.add(cutter.push(shown).map(withoutReturn));
    if (cut) mailbox.add([...end(), "… further output is left out"]);
  });
  source.once("close", () => mailbox.add(end()));
}

/** Why the command failed, once it and its output have ended; undefined when it did not. */
async function waitForEnd(
  child: ChildProcess,
  { killOrphans, enclosed = false }: Pick<InstallStep, "killOrphans" | "enclosed">,
): Promise<string | undefined> {
  const closed = once(child, "close");
  // `close` may follow an `error` without an `exit`; its listener must not leave a rejection behind.
  closed.catch(() => {});
  try {
    const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    // What the command left in the background goes down with it, and with it the last writers of its output.
    killGroup(child);
    const cut = setTimeout(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, OUTPUT_GRACE_MS);
    await Promise.all([closed, killOrphans?.()]);
    clearTimeout(cut);
    if (code === 0) return undefined;
    const told = signal ?? (enclosed ? signalOfCode(code ?? 0) : undefined);
    return told ? `was ended by ${told}` : `ended with exit code ${code}`;
  } catch (error) {
    return couldNotStart(error);
  }
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // Nobody is left in it.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
