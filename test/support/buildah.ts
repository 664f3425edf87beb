import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { unlessRequired } from "./needing.ts";

/** A shell that needs nothing else, for images with nothing else. */
export const BUSYBOX = "/bin/busybox";

/** Why no Dockerfile can be built here; undefined when one can. */
export function missingBuildah(): string | undefined {
  if (process.getuid?.() !== 0) return unlessRequired("buildah needs root where there are no user namespaces");
  if (spawnSync("buildah", ["--version"]).error) return unlessRequired("buildah is not installed");
  if (!existsSync(BUSYBOX)) return unlessRequired("busybox-static is not installed");
  return undefined;
}
