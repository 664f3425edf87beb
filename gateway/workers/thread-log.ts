import type { Logger } from "../../kit/log.ts";

/** One line of a thread's log, in the log of the main thread: lines of several threads would mix in one file. */
export function tellLine(log: Logger, line: string): void {
  const { level, time: _, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const method = level === "debug" || level === "warn" || level === "error" ? level : "info";
  log[method](fields, typeof msg === "string" ? msg : "");
}
