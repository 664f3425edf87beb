import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import { isShellName, OWN_VARIABLES, quote } from "../../shell-words.ts";

/** Line a shell prints when it can take a call. It prints the exit status of each on a line, and then this again. */
export const READY = "ready";

/** Descriptors of the shell at which we find the reading ends of a call's pipes. */
export const STDIN_FD = 4;
export const STDOUT_FD = 5;
export const STDERR_FD = 6;

/** Longest script handed to a shell: below what Linux allows for one variable (128 KiB), with room to spare. */
const SCRIPT_LIMIT_BYTES = 96 * 1024;

/**
 * Makes the pipes of the next call, ahead of it: the call then needs one message and no answer.
 *
 * An empty here-document is how a shell makes a pipe without forking: its reading end is left at a descriptor, and whoever may
 * look into `/proc` can open either end again. Each call gets pipes of its own, so nothing of it can reach the next. Descriptor
 * 7 and 8 are the writing ends of 5 and 6.
 */
const OPEN_PIPES = "exec 4<<'E' 5<<'E' 6<<'E' 7>/proc/self/fd/5 8>/proc/self/fd/6\nE\nE\nE\n";
/** Lets the readers of a call's output see its end. */
const CLOSE_PIPES = "exec 7>&- 8>&-";

/** Holds the exit status for a moment. Not exported, so that no program sees it. */
const STATUS = "_faaslane_status";

/** Run once in each shell. Descriptor 3 is where it reports. */
export function buildPreamble(env: Env): string {
  const own = OWN_VARIABLES.filter((name) => env[name] === undefined);
  return `exec 3>&1; unset ${own.join(" ")}; ${OPEN_PIPES}echo ${READY} >&3\n`;
}

/**
 * The commands that run one call's process in a shell. The program gets 0 to 2 and no others; the shell keeps its own 2, so
 * that its remarks ("Killed") do not end up among the program's output.
 * @returns undefined when a shell cannot express it
 */
export function buildScript(
  command: Command,
  variables: Readonly<Record<string, string>>,
  combineOutput: boolean,
): string | undefined {
  const words: string[] = [];
  for (const [name, value] of Object.entries(variables)) {
    if (!isShellName(name)) return undefined;
    words.push(`${name}=${quote(value)}`);
  }
  words.push(...command.map(quote));
  const stderr = combineOutput ? 7 : 8;
  const call = `${words.join(" ")} <&4 >&7 2>&${stderr} 3>&- 4<&- 5<&- 6<&- 7>&- 8>&-`;
  // All of it, here-documents included, is parsed before anything runs.
  const script = `${call}; ${STATUS}=$?; ${CLOSE_PIPES}; echo $${STATUS} >&3; ${OPEN_PIPES}echo ${READY} >&3\n`;
  return Buffer.byteLength(script) > SCRIPT_LIMIT_BYTES ? undefined : script;
}
