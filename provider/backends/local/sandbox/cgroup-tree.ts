import { join } from "node:path";

/** What control groups can hold a replica to. */
export const CONTROLLERS = ["memory", "cpu", "pids"] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** Folder of the control group that a process is in, by controller. */
export type OwnGroups = { readonly version: 1 | 2; readonly folders: Partial<Readonly<Record<Controller, string>>> };

/**
 * Finds a process's own control groups.
 * @param groups text of `/proc/self/cgroup`
 * @param mounts text of `/proc/self/mountinfo`
 * @returns undefined where none are mounted
 */
export function parseOwnGroups(groups: string, mounts: string): OwnGroups | undefined {
  const lines = groups.split("\n").flatMap((line) => {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    return match ? [{ names: (match[1] as string).split(","), path: match[2] as string }] : [];
  });
  const mounted = mounts.split("\n").flatMap((line) => {
    // 36 35 98:0 /root /mount/point rw - type source options
    const match = /^\d+ \d+ \S+ (\S+) (\S+) .*? - (cgroup2?) \S+ (\S+)$/.exec(line);
    return match
      ? [{ root: match[1] as string, at: match[2] as string, type: match[3], options: match[4] as string }]
      : [];
  });
  const folderOf = (mount: (typeof mounted)[number] | undefined, path: string | undefined) => {
    if (!mount || path === undefined) return undefined;
    // In a container the mount shows only part of the tree, and the path may be that of the whole.
    const inside = mount.root !== "/" && path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
    return join(mount.at, inside);
  };

  const folders: Partial<Record<Controller, string>> = {};
  for (const controller of CONTROLLERS) {
    const mount = mounted.find(({ type, options }) => type === "cgroup" && options.split(",").includes(controller));
    const folder = folderOf(mount, lines.find(({ names }) => names.includes(controller))?.path);
    if (folder !== undefined) folders[controller] = folder;
  }
  if (Object.keys(folders).length > 0) return { version: 1, folders };
  const unified = folderOf(
    mounted.find(({ type }) => type === "cgroup2"),
    lines.find(({ names }) => names.join() === "")?.path,
  );
  if (unified === undefined) return undefined;
  return { version: 2, folders: { memory: unified, cpu: unified, pids: unified } };
}

/** What a replica may use; absent is without a limit. */
export interface ResourceLimits {
  readonly memoryBytes?: number;
  /** Of one core. */
  readonly cpu?: number;
  readonly processes?: number;
}

/** A value to write, by the name of the file. */
export type Settings = readonly (readonly [file: string, value: string])[];

const PERIOD_US = 100_000;
/** The kernel takes no less. */
const SMALLEST_QUOTA_US = 1_000;

/** What to write into a replica's group so that it is held to its limits. The optional files are not on every kernel. */
export function groupSettings(
  version: 1 | 2,
  controller: Controller,
  { memoryBytes, cpu, processes }: ResourceLimits,
): { readonly required: Settings; readonly optional: Settings } {
  const nothing = { required: [], optional: [] };
  switch (controller) {
    case "memory": {
      if (memoryBytes === undefined) return nothing;
      const bytes = String(Math.floor(memoryBytes));
      // Without the limits on swap, what is over would only be swapped out.
      return version === 1
        ? { required: [["memory.limit_in_bytes", bytes]], optional: [["memory.memsw.limit_in_bytes", bytes]] }
        : {
            required: [["memory.max", bytes]],
            optional: [
              ["memory.swap.max", "0"],
              ["memory.oom.group", "1"],
            ],
          };
    }
    case "cpu": {
      if (cpu === undefined) return nothing;
      const quota = String(Math.max(SMALLEST_QUOTA_US, Math.round(cpu * PERIOD_US)));
      return version === 1
        ? {
            required: [
              ["cpu.cfs_period_us", `${PERIOD_US}`],
              ["cpu.cfs_quota_us", quota],
            ],
            optional: [],
          }
        : { required: [["cpu.max", `${quota} ${PERIOD_US}`]], optional: [] };
    }
    case "pids":
      return processes === undefined ? nothing : { required: [["pids.max", String(processes)]], optional: [] };
  }
}

/** How many processes the kernel has killed in a group, by the text of `memory.oom_control` or `memory.events`. */
export function parseOomKills(text: string): number {
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}
