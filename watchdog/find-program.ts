import { accessSync, constants, statSync } from "node:fs";
import { delimiter, resolve } from "node:path";

/** The program as an absolute path, found as the system would find it; undefined when it is not there. */
export function findProgram(program: string, path = ""): string | undefined {
  const candidates = program.includes("/")
    ? [resolve(program)]
    : path.split(delimiter).map((folder) => resolve(folder, program));
  return candidates.find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false; // not there, or not for us
  }
}
