import { spawnSync } from "node:child_process";
import { describeNeeding, unlessRequired } from "./needing.ts";

/** Why no functions can be put behind a wall here; undefined when they can. */
function missing(): string | undefined {
  const { error, status, stderr } = spawnSync("bwrap", [
    "--unshare-pid",
    "--unshare-user-try",
    "--bind",
    "/",
    "/",
    "true",
  ]);
  if (error) return "bubblewrap is not installed";
  return status === 0 ? undefined : `bubblewrap does not work here: ${stderr}`;
}

/** Tests that need `bwrap`. Where there is none they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithBubblewrap(name: string, tests: () => void): void {
  describeNeeding(unlessRequired(missing()))(name, tests);
}
