import type { ReplicaEnd } from "../problem.ts";
import type { ProcessHooks } from "../replica-process.ts";
import type { ReplicaGroup } from "./cgroups.ts";
import type { DiskGuard, WorkingCopy } from "./disk-guard.ts";
import type { Bounds, ResourceGuard } from "./guard.ts";

export interface ProcessHookParts {
  readonly guard: Pick<ResourceGuard, "watch">;
  /** What the kernel does not hold the replica to. */
  readonly bounds: Bounds;
  readonly group: ReplicaGroup | undefined;
  /** As it was deployed, for people. */
  readonly memoryLimit: string | undefined;
  /** Absent where it can write nothing to the disk. */
  readonly disk?:
    | {
        readonly guard: Pick<DiskGuard, "watch" | "limitBytes">;
        readonly copy: WorkingCopy;
        /** Clears away what it has written. */
        onExcess(): Promise<void>;
      }
    | undefined;
  /** Where it can be called, if not at the port that it tells. */
  readonly relay?: { readonly address: string; close(): void } | undefined;
}

/** Holds a replica to its limits while it runs, and clears away what was prepared for it. */
export function buildProcessHooks({ guard, bounds, group, memoryLimit, disk, relay }: ProcessHookParts): ProcessHooks {
  let excess: ReplicaEnd | undefined;
  const watches: (() => void)[] = [];
  const outOfMemory: ReplicaEnd = { kind: "outOfMemory", limit: memoryLimit };
  return {
    ...(relay && { address: relay.address }),
    started(pid, kill) {
      const isOut =
        group && bounds.memoryBytes === undefined && memoryLimit !== undefined ? group.outOfMemory : undefined;
      const onExcess = (end: ReplicaEnd) => {
        excess ??= end;
        kill();
      };
      watches.push(
        guard.watch(pid, { ...bounds, ...(isOut && { isOut }) }, (what) =>
          onExcess(what === "memory" ? outOfMemory : { kind: "tooMany", processes: bounds.processes ?? 0 }),
        ),
      );
      if (!disk) return;
      const { limitBytes } = disk.guard;
      watches.push(disk.guard.watch(disk.copy, () => onExcess({ kind: "tooLarge", limitBytes })));
    },
    async ended(end) {
      for (const unwatch of watches) unwatch();
      relay?.close();
      const killed = excess ?? ((await group?.outOfMemory()) ? outOfMemory : undefined);
      await group?.close();
      if (killed?.kind === "tooLarge") await disk?.onExcess();
      return killed ?? end;
    },
  };
}
