import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/**
 * What to put before a command so that the system kills it when this process dies (Linux's parent-death signal, through
 * util-linux's `setpriv`); empty where there is no such program.
 *
 * A watchdog ends by itself when its channel closes, but one whose handler never yields cannot notice. Only a handler
 * in the watchdog's own process can do that to it; other watchdogs have children to end, which a SIGKILL would leave
 * behind.
 */
export function findDeathSignal(path: string): readonly string[] {
  const program = path
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, "setpriv"))
    .find(existsSync);
  if (program === undefined) return [];
  const prefix = [program, "--pdeathsig", "KILL"];
  // Other makes of `setpriv` do not know the option.
  const works =
    spawnSync(program, [...prefix.slice(1), process.execPath, "--version"], { timeout: 5_000 }).status === 0;
  return works ? prefix : [];
}
