import { spawnSync } from "node:child_process";

/** Which of these programs the machine lacks, in words; undefined when it has all. */
export function missingPrograms(...programs: string[]): string | undefined {
  const missing = programs.filter((program) => spawnSync(program, ["--version"]).error !== undefined);
  return missing.length === 0 ? undefined : `this machine has no ${missing.join(", ")}`;
}
