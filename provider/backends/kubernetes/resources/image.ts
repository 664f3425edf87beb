import type { PullPolicy } from "./settings.ts";

/** Whether the same reference may mean something else tomorrow: no digest, and no tag or `latest`. */
export function isFloating(image: string): boolean {
  if (image.includes("@")) return false;
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === "latest";
}

/** Kubernetes' own rule, written out so that it does not depend on when the object was made. */
export function pullPolicy(image: string): PullPolicy {
  return isFloating(image) ? "Always" : "IfNotPresent";
}
