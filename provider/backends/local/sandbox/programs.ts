import { constants } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";
import { basename, delimiter, dirname, isAbsolute, join } from "node:path";
import { isWithin } from "./shown.ts";

/** Interpreters and what comes with them: scripts call them without their template's saying so. */
export const USUAL_PROGRAMS = [
  ...["node", "npm", "npx", "python3", "python", "pip3", "pip", "ruby", "perl", "php", "java", "go", "deno", "bun"],
];

export interface ProgramLocations {
  /** Folders that are shown anyway. */
  readonly shown: readonly string[];
  /** Folders that must not become visible as a whole, nor any above them. */
  readonly guarded: readonly string[];
}

/**
 * Paths to show so that the programs run that `path` finds under `names`: on many machines interpreters live in
 * somebody's home. A program comes with its installation where that can be told, and alone otherwise.
 */
export async function pathsOfPrograms(
  names: readonly string[],
  path: string,
  locations: ProgramLocations,
): Promise<string[]> {
  const found = await Promise.all([...new Set(names)].map((name) => pathsOf(name, path, locations)));
  const all = [...new Set(found.flat())].sort();
  return all.filter((one) => !all.some((other) => other !== one && isWithin(other, one)));
}

async function pathsOf(name: string, path: string, locations: ProgramLocations): Promise<string[]> {
  const file = await findProgram(name, path);
  if (file === undefined) return [];
  const both = [...new Set([file, await realpath(file)])];
  const hidden = both.filter((one) => !locations.shown.some((folder) => isWithin(folder, one)));
  return hidden.map((one) => installationOf(one, locations) ?? one);
}

async function findProgram(name: string, path: string): Promise<string | undefined> {
  const candidates = isAbsolute(name)
    ? [name]
    : name.includes("/")
      ? []
      : path
          .split(delimiter)
          .filter(isAbsolute)
          .map((folder) => join(folder, name));
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      if ((await stat(candidate)).isFile()) return candidate;
    } catch {} // not there, or not for us
  }
  return undefined;
}

/** Folders of programs, next to which their libraries are; `shims` are those of version managers. */
const PROGRAM_FOLDERS = new Set(["bin", "sbin", "libexec", "shims"]);

function installationOf(file: string, { guarded }: ProgramLocations): string | undefined {
  const folder = dirname(file);
  if (!PROGRAM_FOLDERS.has(basename(folder))) return undefined;
  const installation = dirname(folder);
  return guarded.some((one) => isWithin(installation, one)) ? undefined : installation;
}
