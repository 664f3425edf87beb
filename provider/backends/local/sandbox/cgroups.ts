import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { sleep } from "../../../../kit/sleep.ts";
import { namesIn } from "../files.ts";
import {
  CONTROLLERS,
  type Controller,
  groupSettings,
  type OwnGroups,
  parseOomKills,
  parseOwnGroups,
  type ResourceLimits,
} from "./cgroup-tree.ts";

/** The control group of one replica. */
export interface ReplicaGroup {
  /** A process that writes `0` into each of these joins. */
  readonly entrances: readonly string[];
  /** Whether the kernel has killed something in it for want of memory. */
  outOfMemory(): Promise<boolean>;
  /** Removes it; its processes must have ended. */
  close(): Promise<void>;
}

/** Control groups below the platform's own. */
export interface Cgroups {
  /** What they hold replicas to. */
  readonly controllers: ReadonlySet<Controller>;
  /** @throws when one cannot be made */
  open(name: string, limits: ResourceLimits): Promise<ReplicaGroup>;
  close(): Promise<void>;
}

const PREFIX = "faaslane-";

/** The groups that this process is in; undefined on systems without. */
export function ownGroups(): OwnGroups | undefined {
  try {
    return parseOwnGroups(readFileSync("/proc/self/cgroup", "utf8"), readFileSync("/proc/self/mountinfo", "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Prepares groups for replicas where this process may make some.
 * @param pid of the platform: two on one machine have trees of their own
 * @returns undefined where there is nothing that can be written
 */
export async function openCgroups(own: OwnGroups | undefined, pid: number): Promise<Cgroups | undefined> {
  if (!own) return undefined;
  const bases = new Map<Controller, string>();
  for (const controller of CONTROLLERS) {
    const parent = own.folders[controller];
    if (parent === undefined) continue;
    const base = join(parent, `${PREFIX}${pid}`);
    if (await prepare(own.version, controller, parent, base, pid)) bases.set(controller, base);
  }
  if (bases.size === 0) return undefined;
  return {
    controllers: new Set(bases.keys()),
    open: (name, limits) => openGroup(own.version, bases, name, limits),
    close: async () => {
      for (const base of new Set(bases.values())) await removeGroups(base);
    },
  };
}

/** Makes the folder of all replicas' groups, with the controller at work in it. @returns whether it is */
async function prepare(
  version: 1 | 2,
  controller: Controller,
  parent: string,
  base: string,
  pid: number,
): Promise<boolean> {
  try {
    await sweep(parent, pid);
    await mkdir(base, { recursive: true });
    if (version === 1) return true;
    await enable(parent, controller).catch(async (error) => {
      // A group with processes of its own has no controllers for its children. Where the platform is all alone in it,
      // as in a unit of systemd's or a container, it moves aside.
      const members = (await readFile(join(parent, "cgroup.procs"), "utf8")).trim().split("\n");
      if (members.join() !== `${pid}`) throw error;
      const aside = join(parent, `${basename(base)}-platform`);
      await mkdir(aside, { recursive: true });
      await writeFile(join(aside, "cgroup.procs"), `${pid}`);
      await enable(parent, controller);
    });
    await enable(base, controller);
    return true;
  } catch {
    return false; // read-only, somebody else's, or without this controller
  }
}

async function enable(folder: string, controller: Controller): Promise<void> {
  const file = join(folder, "cgroup.subtree_control");
  if ((await readFile(file, "utf8")).trim().split(" ").includes(controller)) return;
  await writeFile(file, `+${controller}`);
}

/** Removes what platforms that were killed have left; what has processes stays. */
async function sweep(parent: string, pid: number): Promise<void> {
  for (const name of await namesIn(parent)) {
    const owner = new RegExp(`^${PREFIX}(\\d+)$`).exec(name)?.[1];
    if (owner === undefined) continue;
    if (owner === `${pid}` || !existsSync(`/proc/${owner}`)) await removeGroups(join(parent, name));
  }
}

async function removeGroups(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await rmdir(join(folder, entry.name)).catch(() => {});
  }
  await rmdir(folder).catch(() => {});
}

async function openGroup(
  version: 1 | 2,
  bases: ReadonlyMap<Controller, string>,
  name: string,
  limits: ResourceLimits,
): Promise<ReplicaGroup> {
  const folders = new Set<string>();
  for (const [controller, base] of bases) {
    const { required, optional } = groupSettings(version, controller, limits);
    if (required.length === 0) continue;
    const folder = join(base, name);
    await mkdir(folder, { recursive: true });
    folders.add(folder);
    for (const [file, value] of required) await writeFile(join(folder, file), value);
    for (const [file, value] of optional) await writeFile(join(folder, file), value).catch(() => {});
  }
  const memory = bases.get("memory");
  const kills = memory && join(memory, name, version === 1 ? "memory.oom_control" : "memory.events");
  return {
    entrances: [...folders].map((folder) => join(folder, "cgroup.procs")),
    outOfMemory: async () => kills !== undefined && parseOomKills(await readFile(kills, "utf8").catch(() => "")) > 0,
    close: async () => {
      for (const folder of folders) await removeGroup(folder);
    },
  };
}

/** The last process of a group may still be on its way out. */
async function removeGroup(folder: string): Promise<void> {
  for (let waitMs = 5; waitMs < 1_000; waitMs *= 2) {
    try {
      await rmdir(folder);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") return;
      await sleep(waitMs);
    }
  }
}
