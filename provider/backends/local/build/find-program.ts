import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** Those of `programs` that are in none of the folders of `path`. */
export async function missingPrograms(programs: readonly string[], path: string): Promise<string[]> {
  const missing: string[] = [];
  for (const program of programs) if (!(await isInstalled(program, path))) missing.push(program);
  return missing;
}

/** Whether a program that may be executed is in one of the folders of `path`, as a shell would look it up. */
async function isInstalled(program: string, path: string): Promise<boolean> {
  for (const folder of path.split(delimiter)) {
    if (folder !== "" && (await isExecutable(join(folder, program)))) return true;
  }
  return false;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
