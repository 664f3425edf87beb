import type { ChildProcess } from "node:child_process";
import { type ProcessEnd, processEnd } from "../child.ts";
import type { Command } from "../config.ts";
import type { Env } from "../env.ts";
import type { Log } from "../log.ts";
import { startPiped } from "../piped-child.ts";
import { closed } from "../pipes.ts";

/** How long the output of a child that has ended is waited for. */
const LAST_WORDS_MS = 250;

/**
 * Starts the function's own server.
 * @param onEnd called once, also when it cannot be started
 */
export async function startChild(
  command: Command,
  env: Env,
  log: Log,
  onEnd: (end: ProcessEnd) => void,
): Promise<ChildProcess> {
  const { process: child, stdout, stderr } = await startPiped(command, env);
  log.forward(stdout, "stdout");
  log.forward(stderr, "stderr");
  const report = async (end: ProcessEnd) => {
    // Its last words explain its end, so they are read first; but what it started may keep its output open.
    const read = Promise.all([closed(stdout), closed(stderr)]);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LAST_WORDS_MS);
    await Promise.race([read, late]);
    clearTimeout(timer);
    onEnd(end);
  };
  child.on("error", (error) => {
    // Also raised when a signal cannot be sent; only a child without a pid never started.
    if (child.pid === undefined) void report({ kind: "unstarted", error });
    else log.print(`Child process: ${error.message}`);
  });
  if (child.exitCode !== null || child.signalCode !== null) void report(processEnd(child.exitCode, child.signalCode));
  else child.once("exit", (code, signal) => void report(processEnd(code, signal)));
  return child;
}
