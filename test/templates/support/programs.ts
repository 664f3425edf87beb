import { spawnSync } from "node:child_process";

/**
 * Whether the machine has all of these programs. Says which it lacks, so that skipped tests have a printed reason; with
 * `REQUIRE_SERVICES` set it claims to have them, and the tests fail for what is missing.
 */
export function hasPrograms(...programs: string[]): boolean {
  const missing = programs.filter((program) => spawnSync(program, ["--version"]).error !== undefined);
  if (missing.length === 0 || process.env.REQUIRE_SERVICES) return true;
  process.stderr.write(`skipped, as this machine has no ${missing.join(", ")}\n`);
  return false;
}
