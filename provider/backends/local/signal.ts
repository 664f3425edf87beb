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
