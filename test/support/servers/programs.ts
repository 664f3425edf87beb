import { spawnSync } from "node:child_process";
import { unlessRequired } from "../needing.ts";

/** Where programs for administrators are, beside the usual places. */
export const PROGRAM_PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;

/** Why there are no tests with a program here; undefined when there are. @throws as {@link unlessRequired} */
export function missingProgram(program: string): string | undefined {
  const { status } = spawnSync("sh", ["-c", `command -v ${program}`], { env: { PATH: PROGRAM_PATH } });
  return unlessRequired(status === 0 ? undefined : `${program} is not installed`);
}
