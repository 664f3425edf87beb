import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";

/** How a process ended, in the words that Go's watchdogs use, which callers of failed functions get to read. */
export type ProcessEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: NodeJS.Signals }
  | { readonly kind: "unstarted"; readonly error: NodeJS.ErrnoException };

const SIGNAL_TEXT: Partial<Record<NodeJS.Signals, string>> = {
  SIGHUP: "hangup",
  SIGINT: "interrupt",
  SIGQUIT: "quit",
  SIGILL: "illegal instruction",
  SIGTRAP: "trace/breakpoint trap",
  SIGABRT: "aborted",
  SIGBUS: "bus error",
  SIGFPE: "floating point exception",
  SIGKILL: "killed",
  SIGUSR1: "user defined signal 1",
  SIGSEGV: "segmentation fault",
  SIGUSR2: "user defined signal 2",
  SIGPIPE: "broken pipe",
  SIGALRM: "alarm clock",
  SIGTERM: "terminated",
};

/** @param program as in `fprocess` */
export function describeEnd(end: ProcessEnd, program: string): string {
  switch (end.kind) {
    case "exited":
      return `exit status ${end.code}`;
    case "signalled":
      return `signal: ${SIGNAL_TEXT[end.signal] ?? `signal ${constants.signals[end.signal]}`}`;
    case "unstarted":
      return describeStartFailure(end.error, program);
  }
}

/** Output without the line in which a shell has remarked that a signal ended the process. */
export function withoutRemark(output: Buffer, end: ProcessEnd): Buffer {
  const text = end.kind === "signalled" ? SIGNAL_TEXT[end.signal] : undefined;
  if (text === undefined) return output;
  const remark = `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  for (const line of [`${remark}\n`, `${remark} (core dumped)\n`]) {
    if (output.subarray(-line.length).equals(Buffer.from(line))) return output.subarray(0, -line.length);
  }
  return output;
}

/** In the words of Go, whose look-up passes over folders of PATH and files there that it may not use. */
function describeStartFailure({ code, message }: NodeJS.ErrnoException, program: string): string {
  const isPath = program.includes("/");
  if (!isPath && (code === "ENOENT" || code === "EACCES"))
    return `exec: "${program}": executable file not found in $PATH`;
  return `fork/exec ${program}: ${code === "ENOENT" ? "no such file or directory" : message}`;
}

/** The arguments of a child's `exit` event as a value. */
export function processEnd(code: number | null, signal: NodeJS.Signals | null): ProcessEnd {
  return signal === null ? { kind: "exited", code: code ?? 0 } : { kind: "signalled", signal };
}

/** Waits for a child's end, at most `timeoutMs`; false when it still runs. */
export function waitForExit(child: ChildProcess, timeoutMs: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(false), timeoutMs);
    const onExit = () => done(true);
    const done = (exited: boolean) => {
      clearTimeout(timer);
      child.removeListener("exit", onExit);
      resolve(exited);
    };
    child.once("exit", onExit);
  });
}
