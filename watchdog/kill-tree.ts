import { readFileSync } from "node:fs";

/**
 * Kills a process and everything it has started, which a signal to the process alone would leave running, with our pipes
 * open. Each is stopped before its children are listed, so that none can start another in between.
 */
export function killTree(pid: number): void {
  if (!signal(pid, "SIGSTOP")) return;
  for (const child of listChildren(pid)) killTree(child);
  signal(pid, "SIGKILL");
}

/** Processes that `pid` has started and that still run; none where the system does not tell. */
export function listChildren(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean).map(Number);
  } catch {
    return []; // ended meanwhile, or no /proc: the process itself is all we know
  }
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // it has ended
  }
}
