import { type ChildProcess, spawn } from "node:child_process";
import { Readable } from "node:stream";
import type { Command } from "./config.ts";
import type { Env } from "./env.ts";
import { findProgram } from "./find-program.ts";
import { openPipeReader } from "./pipes.ts";
import { isShellName, OWN_VARIABLES } from "./shell-words.ts";

/** A long-lived child whose output is ours to read. */
export interface PipedChild {
  readonly process: ChildProcess;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

const STDOUT_FD = 5;
const STDERR_FD = 6;
const HANDSHAKE_MS = 2000;

/**
 * A shell makes two pipes (empty here-documents), says so, waits until we have opened our ends, and becomes the program.
 * Descriptors 7 and 8 are the writing ends of 5 and 6.
 */
const SCRIPT = `unset UNWANTED
exec ${STDOUT_FD}<<'E' ${STDERR_FD}<<'E' 7>/proc/self/fd/${STDOUT_FD} 8>/proc/self/fd/${STDERR_FD}
E
E
echo opened
read -r _go
exec "$@" </dev/null >&7 2>&8 5<&- 6<&- 7>&- 8>&-
`;

/**
 * Starts a program with true pipes as its output where the machine allows: Node's are sockets, which cannot be opened again
 * as `/dev/stdout`, where many servers write their logs.
 */
export async function startPiped(command: Command, env: Env): Promise<PipedChild> {
  return (await startThroughShell(command, env)) ?? startDirectly(command, env);
}

function startDirectly([program, ...args]: Command, env: Env): PipedChild {
  const child: ChildProcess = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  // Where the system had no descriptors left there are no streams either; the child's error says why.
  return { process: child, stdout: child.stdout ?? Readable.from([]), stderr: child.stderr ?? Readable.from([]) };
}

async function startThroughShell([name, ...args]: Command, env: Env): Promise<PipedChild | undefined> {
  const program = findProgram(name, env.PATH);
  // A shell does not hand on variables that it could not name.
  if (process.platform !== "linux" || program === undefined || !Object.keys(env).every(isShellName)) return undefined;
  const unwanted = OWN_VARIABLES.filter((variable) => env[variable] === undefined);
  const script = SCRIPT.replace("UNWANTED", unwanted.join(" "));
  const shell: ChildProcess = spawn("/bin/sh", ["-c", script, "sh", program, ...args], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const opened = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), HANDSHAKE_MS);
    const settle = (how: boolean) => {
      clearTimeout(timer);
      resolve(how);
    };
    shell.on("error", () => settle(false));
    shell.stdout?.once("data", () => settle(true));
    shell.once("exit", () => settle(false));
  });
  shell.stdin?.on("error", () => {}); // it may end at any time; its exit says so
  try {
    if (!opened || shell.pid === undefined) throw new Error("no shell to start through");
    const stdout = openPipeReader(shell.pid, STDOUT_FD);
    const stderr = openPipeReader(shell.pid, STDERR_FD);
    shell.stdin?.end("\n");
    return { process: shell, stdout, stderr };
  } catch {
    shell.kill("SIGKILL");
    return undefined; // the direct way is as good, but for the sockets
  }
}
