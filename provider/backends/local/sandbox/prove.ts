import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isOutOfSpace } from "../../../../contract/shortages.ts";
import { ensureFolder } from "../files.ts";
import type { Wall } from "./wall.ts";

const LONGEST_MS = 10_000;

/** A folder to work in, a low process id, no programs to write to, and nothing at its argument, which is there outside. */
const SCRIPT = `
test -n "$(ls -A)" || { echo "the working folder is not there" >&2; exit 1; }
test "$$" -lt 50 || { echo "processes of others are visible" >&2; exit 1; }
test ! -w /usr || { echo "programs can be written to" >&2; exit 1; }
test ! -e "$1" || { echo "the platform's files are visible" >&2; exit 1; }
exec "$NODE" --version
`;

/**
 * Runs something behind the wall and looks around: there are machines where bubblewrap is installed and may make no
 * namespaces.
 * @param scratch a folder in the platform's own for the attempt; where there is no room for it, the platform's own does
 * @returns what went wrong; undefined when functions can be run like that
 */
export async function proveWall(wall: Wall, node: string, scratch: string): Promise<string | undefined> {
  const code = await prepare(scratch);
  const cell = { code, readOnly: true, programs: [node], network: true };
  const [program = "", ...args] = wall.enclose(cell, ["/bin/sh", "-c", SCRIPT, "sh", join(code, PROBE)]);
  return await run(program, args, { NODE: node });
}

const PROBE = "probe";

/** @returns a folder with something in it */
async function prepare(scratch: string): Promise<string> {
  try {
    await ensureFolder(scratch);
    await writeFile(join(scratch, PROBE), "");
    return scratch;
  } catch (error) {
    if (!isOutOfSpace(error)) throw error;
    return dirname(scratch);
  }
}

function run(program: string, args: readonly string[], more: Record<string, string>): Promise<string | undefined> {
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", ...more };
  return new Promise((resolve) => {
    execFile(program, args, { env, timeout: LONGEST_MS, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      if (!error && stdout.startsWith("v")) resolve(undefined);
      else
        resolve(stderr.trim().split("\n")[0] || (error?.killed ? "it did not end" : (error?.message ?? "it failed")));
    });
  });
}
