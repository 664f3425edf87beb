import { spawnSync } from "node:child_process";
import { describeNeeding, unlessRequired } from "./needing.ts";
import { PROGRAM } from "./registry-process.ts";

export { DockerRegistry } from "./registry-process.ts";

function missingRegistry(): string | undefined {
  const found = spawnSync(PROGRAM, ["--version"]).status === 0;
  return unlessRequired(found ? undefined : "docker-registry is not installed");
}

export const describeWithRegistry = describeNeeding(missingRegistry());
