import { readdirSync, readFileSync } from "node:fs";

/**
 * Kills a process and everything it has started, which a signal to the process alone would leave running, with our pipes
 * open. Each is stopped before its children are listed, so that none can start another in between.
 */
export function killTree(pid: number): void {
  if (!signal(pid, "SIGSTOP")) return;
  for (const child of listChildren(pid)) killTree(child);
  signal(pid, "SIGKILL");
}

/** A process and everything it has started. */
export function listDescendants(pid: number): number[] {
  return [pid, ...listChildren(pid).flatMap(listDescendants)];
}

/** Processes that `pid` has started, by any of its threads, and that still run; none where the system does not tell. */
export function listChildren(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => childrenOfThread(pid, thread));
  } catch {
    return []; // ended meanwhile, or no /proc: the process itself is all we know
  }
}

function childrenOfThread(pid: number, thread: string): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // it has ended
  }
}
