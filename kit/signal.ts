import { constants } from "node:os";

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

/** The signal that ended a process, by the exit code of what ran it: shells and sandboxes add 128. */
export function signalOfCode(code: number): NodeJS.Signals | undefined {
  if (code <= 128) return undefined;
  return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0] as
    | NodeJS.Signals
    | undefined;
}
