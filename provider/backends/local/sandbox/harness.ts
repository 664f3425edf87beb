/** Most files that one process of a function may have open. */
export const MAX_OPEN_FILES = 16_384;
/** Most processes and threads of one replica or build: some runtimes start dozens of threads, a fork bomb any number. */
export const MAX_PROCESSES = 1_024;

export interface Harness {
  /** Files of control groups to join, see `ReplicaGroup`. */
  readonly entrances: readonly string[];
  readonly openFiles?: number;
  /** Counts all processes of the user, unless it is set in a user namespace of its own. */
  readonly processes?: number;
}

/**
 * Puts a shell in front of a command that joins control groups, lowers limits and becomes the command: Node can do
 * neither for its children. A group that cannot be joined is the end of it; a limit that is lower already stays.
 */
export function harness(command: readonly string[], { entrances, openFiles, processes }: Harness): string[] {
  const lines = [
    ...entrances.map((file) => `echo 0 >${quote(file)} || exit 126`),
    ...(openFiles === undefined ? [] : [`ulimit -n ${openFiles} 2>/dev/null`]),
    // The letter is another one in every second shell.
    ...(processes === undefined ? [] : [`ulimit -u ${processes} 2>/dev/null || ulimit -p ${processes} 2>/dev/null`]),
  ];
  if (lines.length === 0) return [...command];
  // What shells add to the environment is none of the function's.
  const script = [...lines, "unset PWD OLDPWD SHLVL", 'exec "$@"'].join("\n");
  return ["/bin/sh", "-c", script, "sh", ...command];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
