import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import { isShellName, OWN_VARIABLES, quote } from "../../shell-words.ts";

/** Line a shell prints when it can take calls. */
export const READY = "ready";

/** Descriptor of the shell at which we find the pipe that brings us the exit status of each call, on a line. */
export const REPORTS_FD = 3;

/** Descriptors of the shell at which we find the pipes of a call: the reading end of its stdin, the writing ends of the others. */
export interface CallFds {
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
}

/** Calls take turns with these. A shell has no descriptors of more than one digit to offer. */
const SETS = [
  { stdin: 4, stdout: 5, stderr: 6 },
  { stdin: 7, stdout: 8, stderr: 9 },
] as const;

/** @param turn counts the calls of the shell */
export function fdsOf(turn: number): CallFds {
  return SETS[turn & 1] as CallFds;
}

/** Longest script handed to a shell: below what Linux allows for one variable (128 KiB), with room to spare. */
const SCRIPT_LIMIT_BYTES = 96 * 1024;

/** Holds the exit status for a moment. Not exported, so that no program sees it. */
const STATUS = "_faaslane_status";

/** A program gets 0 to 2 and no others. */
const CLOSE_OTHERS = [REPORTS_FD, ...SETS.flatMap((set) => Object.values(set))].map((fd) => `${fd}>&-`).join(" ");

/**
 * Makes the pipes of a call, ahead of it: the call then needs one message, and its end another.
 *
 * An empty here-document is how a shell makes a pipe without forking: its reading end is left at a descriptor, and whoever may
 * look into `/proc` can open either end again. Each call gets pipes of its own, so nothing of it can reach the next. The shell
 * keeps a writing end, without which a pipe would read as ended before the program has begun.
 */
function openPipes({ stdin, stdout, stderr }: CallFds, combineOutput: boolean): string {
  const outputs = combineOutput ? [stdout] : [stdout, stderr];
  const all = [stdin, ...outputs];
  const words = [...all.map((fd) => `${fd}<<'E'`), ...outputs.map((fd) => `${fd}>/proc/self/fd/${fd}`)];
  return `exec ${words.join(" ")}\n${"E\n".repeat(all.length)}`;
}

/** Run once in each shell. */
export function buildPreamble(env: Env, combineOutput: boolean): string {
  const own = OWN_VARIABLES.filter((name) => env[name] === undefined);
  const reports = `exec ${REPORTS_FD}<<'E' ${REPORTS_FD}>/proc/self/fd/${REPORTS_FD}\nE\n`;
  return `${reports}unset ${own.join(" ")}\n${SETS.map((set) => openPipes(set, combineOutput)).join("")}echo ${READY}\n`;
}

/**
 * The commands that run one call's process in a shell. What a shell remarks of a signal ("Killed") goes where the program's stderr goes, as
 * some redirect themselves before they fork. The pipes of the next call are there already; those of the one after it are made when this
 * one has ended and all wait for something else.
 * @returns undefined when a shell cannot express it
 */
export function buildScript(
  command: Command,
  variables: Readonly<Record<string, string>>,
  combineOutput: boolean,
  turn: number,
): string | undefined {
  const words: string[] = [];
  for (const [name, value] of Object.entries(variables)) {
    if (!isShellName(name)) return undefined;
    words.push(`${name}=${quote(value)}`);
  }
  words.push(...command.map(quote));
  const fds = fdsOf(turn);
  const { stdin, stdout, stderr } = fds;
  const call = `${words.join(" ")} <&${stdin} >&${stdout} 2>&${combineOutput ? stdout : stderr} ${CLOSE_OTHERS}`;
  // Lets the readers of a call's output see its end.
  const closePipes = combineOutput ? `exec ${stdout}>&-` : `exec ${stdout}>&- ${stderr}>&-`;
  // All of it, here-documents included, is parsed before anything runs.
  const script = `${call}; ${STATUS}=$?; ${closePipes}; echo $${STATUS} >&${REPORTS_FD}; ${openPipes(fds, combineOutput)}`;
  return Buffer.byteLength(script) > SCRIPT_LIMIT_BYTES ? undefined : script;
}
