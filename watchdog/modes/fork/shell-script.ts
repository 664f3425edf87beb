import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import { isShellName, OWN_VARIABLES, quote } from "../../shell-words.ts";

/** Line a shell prints when it can take calls. */
export const READY = "ready";

/**
 * Line a shell prints once a call's pipes exist; it then waits for a line before it starts the program, whose exit status
 * follows on a line of its own.
 */
export const OPENED = "opened";
export const GO = "\n";

/** Descriptors of the shell at which we find the reading ends of a call's pipes. */
export const STDIN_FD = 4;
export const STDOUT_FD = 5;
export const STDERR_FD = 6;

/** Longest script handed to a shell: below what Linux allows for one variable (128 KiB), with room to spare. */
const SCRIPT_LIMIT_BYTES = 96 * 1024;

/** Run once in each shell. Descriptor 3 is where it reports. */
export function buildPreamble(env: Env): string {
  const own = OWN_VARIABLES.filter((name) => env[name] === undefined);
  return `exec 3>&1; unset ${own.join(" ")}; echo ${READY} >&3\n`;
}

/**
 * The commands that run one call's process in a shell.
 *
 * An empty here-document is how a shell makes a pipe without forking: its reading end is left at a descriptor, and whoever may
 * look into `/proc` can open either end again. Each call gets pipes of its own, so nothing of it can reach the next. Descriptor
 * 7 and 8 are the writing ends of 5 and 6. The program gets 0 to 2 and no others; the shell keeps its own 2, so that its
 * remarks ("Killed") do not end up among the program's output.
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
  const pipes = "4<<'E' 5<<'E' 6<<'E' 7>/proc/self/fd/5 8>/proc/self/fd/6";
  // All of it, here-documents included, is parsed before anything runs: nothing is left for `read` to take instead of GO.
  const script = `{ echo ${OPENED} >&3; read -r _go; ${call}; } ${pipes}; echo $? >&3\nE\nE\nE\n`;
  return Buffer.byteLength(script) > SCRIPT_LIMIT_BYTES ? undefined : script;
}
