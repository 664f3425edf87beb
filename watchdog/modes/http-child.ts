import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { type ProcessEnd, processEnd } from "../child.ts";
import type { Command } from "../config.ts";
import type { Env } from "../env.ts";
import type { Log } from "../log.ts";
import { startPiped } from "../piped-child.ts";
import { closed } from "../pipes.ts";

/** A port that was free a moment ago. Another program may take it first; the child then fails to start and is restarted. */
export async function pickFreePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

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

const FIRST_POLL_MS = 5;
const SLOWEST_POLL_MS = 100;

/** Waits until something accepts connections there, asking often at first: a start is what callers wait for. */
export async function waitForPort(host: string, port: number, signal: AbortSignal): Promise<void> {
  for (let waitMs = FIRST_POLL_MS; !(await accepts(host, port)); waitMs = Math.min(waitMs * 1.1, SLOWEST_POLL_MS)) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
