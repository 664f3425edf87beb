import type { ProcessEnd } from "../problem.ts";
import type { Escort } from "../replica-process.ts";
import type { ReplicaGroup } from "./cgroups.ts";
import type { Bounds, ResourceGuard } from "./guard.ts";

export interface EscortParts {
  readonly guard: Pick<ResourceGuard, "watch">;
  /** What the kernel does not hold the replica to. */
  readonly bounds: Bounds;
  readonly group: ReplicaGroup | undefined;
  /** As it was deployed, for people. */
  readonly memoryLimit: string | undefined;
  /** Where it can be called, if not at the port that it tells. */
  readonly relay?: { readonly address: string; close(): void } | undefined;
}

/** Holds a replica to its limits while it runs, and clears away what was prepared for it. */
export function buildEscort({ guard, bounds, group, memoryLimit, relay }: EscortParts): Escort {
  let excess: ProcessEnd | undefined;
  let unwatch = () => {};
  const outOfMemory: ProcessEnd = { kind: "outOfMemory", limit: memoryLimit };
  return {
    ...(relay && { address: relay.address }),
    started(pid, kill) {
      const isOut =
        group && bounds.memoryBytes === undefined && memoryLimit !== undefined ? group.outOfMemory : undefined;
      unwatch = guard.watch(pid, { ...bounds, ...(isOut && { isOut }) }, (what) => {
        excess = what === "memory" ? outOfMemory : { kind: "tooMany", processes: bounds.processes ?? 0 };
        kill();
      });
    },
    async ended(end) {
      unwatch();
      relay?.close();
      const killed = excess ?? ((await group?.outOfMemory()) ? outOfMemory : undefined);
      await group?.close();
      return killed ?? end;
    },
  };
}
