import { isWithin, type Shown } from "./shown.ts";

/** Where a function finds its things, as in OpenFaaS's images. */
export const INSIDE = {
  secrets: "/var/openfaas/secrets",
  tmp: "/tmp",
  /** For the socket of a function without network. */
  run: "/run/faaslane",
} as const;

/** Where it finds its code: as in OpenFaaS's images, unless the programs that it needs are in that folder. */
export function chooseCodeFolder(programs: readonly string[]): string {
  const usual = "/home/app";
  return programs.some((path) => isWithin(usual, path)) ? "/srv/app" : usual;
}

/** What one function or build sees beyond what all see. Paths are absolute. */
export interface Cell {
  /** Folder that it works in. */
  readonly code: string;
  readonly readOnly: boolean;
  readonly secrets?: string;
  /** Folder for its temporary files, which are in memory without one. */
  readonly tmp?: string;
  readonly run?: string;
  /** Files and folders that it may read, at their own paths. */
  readonly programs: readonly string[];
  /** Without it there is nothing but a loopback of its own. */
  readonly network: boolean;
}

export interface WallParts {
  /** `bwrap`, absolute. */
  readonly program: string;
  readonly shown: readonly Shown[];
  /** Folders that stay hidden even where they lie in one that is shown. */
  readonly hidden: readonly string[];
  /** Where a cell's code is seen. */
  readonly codeFolder: string;
  /** Makes a user namespace: where the platform is not root it could do nothing without. */
  readonly userNamespace: boolean;
  /** Most that fits into `/tmp`, in bytes. */
  readonly tmpBytes: number;
}

/**
 * bubblewrap, ready to put processes into namespaces of their own. What all of them share is worked out once, so that a
 * start only adds a few arguments.
 */
export class Wall {
  readonly #parts: WallParts;
  readonly #common: readonly string[];
  readonly #sealing: readonly string[];

  constructor(parts: WallParts) {
    this.#parts = parts;
    const covered = coveredFolders(parts);
    this.#common = commonArguments(parts, covered);
    // Last, when every mount has its place: these are file systems in memory, and the root is one without a limit.
    this.#sealing = [...covered, "/"].flatMap((path) => ["--remount-ro", path]);
  }

  /** Folders that every cell shows. */
  get shown(): readonly string[] {
    return this.#parts.shown.map(({ path }) => path);
  }

  get codeFolder(): string {
    return this.#parts.codeFolder;
  }

  /** Whether limits of processes count for the cell alone. */
  get userNamespace(): boolean {
    return this.#parts.userNamespace;
  }

  /** The command that runs `command` in a cell. Output, channel and environment are handed through. */
  enclose(cell: Cell, command: readonly string[]): string[] {
    const { code, readOnly, secrets, tmp, run, programs, network } = cell;
    const { program, tmpBytes, codeFolder } = this.#parts;
    return [
      program,
      ...this.#common,
      ...(network ? [] : ["--unshare-net"]),
      ...(tmp === undefined ? ["--size", `${tmpBytes}`, "--tmpfs", INSIDE.tmp] : ["--bind", tmp, INSIDE.tmp]),
      ...programs.flatMap((path) => ["--ro-bind", path, path]),
      ...(secrets === undefined ? [] : ["--ro-bind", secrets, INSIDE.secrets]),
      ...(run === undefined ? [] : ["--bind", run, INSIDE.run]),
      ...[readOnly ? "--ro-bind" : "--bind", code, codeFolder],
      ...this.#sealing,
      ...["--chdir", codeFolder, "--"],
      ...command,
    ];
  }
}

/** Hidden folders that lie in one that is shown: something empty is put over them. */
function coveredFolders({ shown, hidden }: WallParts): string[] {
  return hidden.filter((path) => shown.some(({ kind, path: one }) => kind === "bind" && isWithin(one, path)));
}

/** As containers have it. */
const SHARED_MEMORY_BYTES = 64 * 2 ** 20;

function commonArguments({ shown, userNamespace }: WallParts, covered: readonly string[]): string[] {
  return [
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"],
    ...(userNamespace ? ["--unshare-user"] : []),
    // A root without capabilities is one in name only; and nothing started here can gain any.
    ...["--die-with-parent", "--cap-drop", "ALL"],
    ...shown.flatMap((one) =>
      one.kind === "link" ? ["--symlink", one.to, one.path] : ["--ro-bind", one.from, one.path],
    ),
    ...covered.flatMap((path) => ["--size", "65536", "--tmpfs", path]),
    ...[
      "--proc",
      "/proc",
      "--dev",
      "/dev",
      "--size",
      `${SHARED_MEMORY_BYTES}`,
      "--tmpfs",
      "/dev/shm",
      "--remount-ro",
      "/dev",
    ],
    ...["--dir", "/run", "--symlink", "/run", "/var/run", "--symlink", "/tmp", "/var/tmp"],
  ];
}
