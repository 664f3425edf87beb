import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { release } from "node:os";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { FaasError } from "../../../../contract/errors.ts";
import type { Logger } from "../../../../kit/log.ts";
import type { Controller, ResourceLimits } from "./cgroup-tree.ts";
import { type Cgroups, openCgroups, ownGroups, type ReplicaGroup } from "./cgroups.ts";
import { DiskGuard } from "./disk-guard.ts";
import { ResourceGuard } from "./guard.ts";
import { harness, MAX_OPEN_FILES, MAX_PROCESSES } from "./harness.ts";
import type { SandboxLevel, SandboxSetting } from "./level.ts";
import { pathsOfPrograms, USUAL_PROGRAMS } from "./programs.ts";
import { proveWall } from "./prove.ts";
import { prepareShown, readablePaths } from "./shown.ts";
import { type Cell, chooseCodeFolder, Wall } from "./wall.ts";

export interface IsolationOptions {
  readonly setting: SandboxSetting;
  /** Where programs are looked for, functions' too. */
  readonly path: string;
  /** Home of the user who runs the platform. */
  readonly home: string;
  readonly nodePath: string;
  readonly watchdogPath: string;
  /** The platform's folder. */
  readonly dataDir: string;
  /** Further folders that no function may see. */
  readonly hidden: readonly string[];
  /** Most that fits into a function's `/tmp`. */
  readonly tmpBytes: number;
  /** Most that a function may add to its folder on the disk. */
  readonly diskBytes: number;
  readonly log: Logger;
}

/** A command that is ready to be started within its bounds. */
export interface Enclosed {
  readonly command: readonly string[];
  /** Its control group, which the caller closes. */
  readonly group: ReplicaGroup | undefined;
}

/** What functions and builds run within. */
export class Isolation {
  readonly wall: Wall | undefined;
  readonly guard: ResourceGuard;
  readonly disk: DiskGuard;
  /** What of the system functions may read without a wall; undefined where Node's permission model is not used. */
  readonly readable: readonly string[] | undefined;
  readonly hidden: readonly string[];
  readonly #options: IsolationOptions;
  readonly #cgroups: Cgroups | undefined;
  readonly #refusal: string | undefined;

  constructor(
    options: IsolationOptions,
    parts: { wall?: Wall | undefined; cgroups?: Cgroups | undefined; readable?: string[]; refusal?: string },
  ) {
    const { log, dataDir, hidden } = options;
    this.#options = options;
    this.wall = parts.wall;
    this.readable = parts.readable;
    this.hidden = [dataDir, ...hidden];
    this.#cgroups = parts.cgroups;
    this.#refusal = parts.refusal;
    const onError = (err: unknown) => log.warn({ err }, "could not measure what functions use");
    this.guard = new ResourceGuard(onError);
    this.disk = new DiskGuard({ folder: dataDir, limitBytes: options.diskBytes, onError });
  }

  /** Whether the kernel holds functions to their limits of it. */
  holds(controller: Controller): boolean {
    return this.#cgroups?.controllers.has(controller) ?? false;
  }

  /** Whether the kernel bounds how many processes a function may have. */
  get boundsProcesses(): boolean {
    return this.holds("pids") || this.#limitsInside;
  }

  /** @param mode of the watchdog */
  levelOf(mode: string | undefined): SandboxLevel {
    if (this.wall) return this.holds("memory") ? "bubblewrap+cgroup" : "bubblewrap";
    return this.readable && mode === "inproc" ? "permission" : "none";
  }

  /** @throws {FaasError} `unavailable` where nothing may run without a wall, and there is none */
  requireIsolation(): void {
    if (this.#refusal !== undefined) throw new FaasError("unavailable", this.#refusal);
  }

  /** Paths that a cell has to show for these programs, next to those that scripts usually call. */
  async pathsOf(programs: readonly string[]): Promise<string[]> {
    const { path, home, nodePath, watchdogPath } = this.#options;
    if (!this.wall) return [];
    // Installed there are also settings, keys and passwords of other programs.
    const personal = [home, join(home, ".local"), join(home, ".cargo"), process.cwd(), "/opt", "/var", "/srv"];
    const names = [nodePath, ...programs, ...USUAL_PROGRAMS];
    const shown = this.wall.shown;
    const paths = await pathsOfPrograms(names, path, { shown, guarded: [...this.hidden, ...personal] });
    const covered = [...shown, ...paths].some((folder) => watchdogPath.startsWith(`${folder}/`));
    return covered ? paths : [...paths, watchdogPath];
  }

  /**
   * @param name for its control group
   * @param cell used where there is a wall
   * @param prefix goes in front of the command where there is none
   */
  async enclose(
    name: string,
    cell: () => Promise<Cell>,
    command: readonly string[],
    limits: ResourceLimits,
    prefix: readonly string[] = [],
  ): Promise<Enclosed> {
    this.requireIsolation();
    const group = await this.#cgroups?.open(name, { ...limits, processes: MAX_PROCESSES });
    const entrances = group?.entrances ?? [];
    const openFiles = this.#options.setting === "off" ? {} : { openFiles: MAX_OPEN_FILES };
    if (!this.wall) return { command: harness([...prefix, ...command], { entrances, ...openFiles }), group };
    if (!this.#limitsInside || this.holds("pids")) {
      return { command: harness(this.wall.enclose(await cell(), command), { entrances, ...openFiles }), group };
    }
    const inside = harness(command, { entrances: [], ...openFiles, processes: MAX_PROCESSES });
    return { command: harness(this.wall.enclose(await cell(), inside), { entrances }), group };
  }

  async close(): Promise<void> {
    await this.#cgroups?.close();
  }

  /** Whether a limit of processes that is set behind the wall counts those behind it alone. */
  get #limitsInside(): boolean {
    const [major = 0, minor = 0] = release().split(".").map(Number);
    return (this.wall?.userNamespace ?? false) && (major > 5 || (major === 5 && minor >= 14));
  }
}

const REMEDY = "install bubblewrap (apt-get install bubblewrap), or set sandbox=off to do without knowingly";

/** Finds out what this machine allows, and says in one line what is missing. */
export async function openIsolation(options: IsolationOptions): Promise<Isolation> {
  const { setting, log } = options;
  const cgroups = await openCgroups(ownGroups(), process.pid);
  if (setting === "off") return new Isolation(options, { cgroups });
  const found = await findWall(options);
  if (typeof found !== "string") return new Isolation(options, { wall: found, cgroups });
  if (setting === "auto") {
    log.warn({ why: found, remedy: REMEDY }, "functions run without a sandbox");
    return new Isolation(options, { cgroups, readable: await readablePaths() });
  }
  log.error({ why: found, remedy: REMEDY }, "a sandbox is required: starting no functions");
  return new Isolation(options, { cgroups, refusal: `sandbox=required, but ${found}` });
}

/** @returns the wall, or why there is none */
async function findWall(options: IsolationOptions): Promise<Wall | string> {
  const { path, home, nodePath, watchdogPath, dataDir, hidden, tmpBytes } = options;
  const folders = path.split(delimiter).filter(isAbsolute);
  const program = folders.map((folder) => join(folder, "bwrap")).find(existsSync);
  if (program === undefined) return "bubblewrap is not installed";
  const scratch = join(dataDir, "sandbox");
  const shown = await prepareShown(join(scratch, "etc"));
  const parts = {
    program,
    shown,
    hidden: [dataDir, ...hidden],
    codeFolder: chooseCodeFolder([
      home,
      nodePath,
      await realpath(nodePath).catch(() => nodePath),
      dirname(watchdogPath),
      ...folders,
    ]),
    tmpBytes,
  };
  let why = "";
  // Root needs no user namespace, unless it is a container's root.
  for (const userNamespace of process.getuid?.() === 0 ? [false, true] : [true]) {
    const wall = new Wall({ ...parts, userNamespace });
    const problem = await proveWall(wall, nodePath, join(dataDir, "sandbox-trial"));
    if (problem === undefined) return wall;
    why ||= problem;
  }
  return `bubblewrap does not work here: ${why}`;
}
