import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { unlessRequired } from "./needing.ts";

export interface ContainerRun {
  /** The image's files. */
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  /** Further mounts, to be read only. */
  readonly binds?: readonly string[];
}

const MASKED = ["noexec", "nosuid", "nodev"];

/** Of the OCI's runtime specification; the network is the host's. */
function configOf({ rootfs, args, env, cwd, uid, binds = [] }: ContainerRun) {
  return {
    ociVersion: "1.0.2",
    process: { terminal: false, user: { uid, gid: uid }, args, env, cwd, noNewPrivileges: true },
    root: { path: rootfs, readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: [...MASKED, "mode=1777"] },
      ...binds.map((path) => ({ destination: path, type: "bind", source: path, options: ["rbind", "ro"] })),
    ],
    linux: { namespaces: ["pid", "mount", "ipc", "uts"].map((type) => ({ type })) },
  };
}

/** Why no container can be run here; undefined when one can. */
export function missingRunc(): string | undefined {
  if (spawnSync("runc", ["--version"]).error) return unlessRequired("runc is not installed");
  const folder = mkdtempSync(join(tmpdir(), "faaslane-runc-"));
  try {
    mkdirSync(join(folder, "rootfs"));
    const binds = ["/usr", "/bin", "/lib", "/lib64"];
    const run = { rootfs: join(folder, "rootfs"), args: ["/bin/true"], env: [], cwd: "/", uid: 12000, binds };
    const config = configOf(run);
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, root: { path: run.rootfs } }));
    const id = `faaslane-try-${process.pid}`;
    const { status, stderr } = spawnSync("runc", ["run", "--bundle", folder, id], { timeout: 30_000 });
    return unlessRequired(status === 0 ? undefined : `runc does not work here: ${String(stderr).trim()}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let count = 0;

/** A container of `runc`, for as long as it is wanted. */
export class RuncContainer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #id: string;
  readonly #bundle: string;
  log = "";

  constructor(run: ContainerRun) {
    this.#bundle = mkdtempSync(join(tmpdir(), "faaslane-runc-"));
    // Layers that this project writes know no such mode, official images do; what is mounted there takes it over.
    if (existsSync(join(run.rootfs, "tmp"))) chmodSync(join(run.rootfs, "tmp"), 0o1777);
    this.#id = `faaslane-${process.pid}-${++count}`;
    writeFileSync(join(this.#bundle, "config.json"), JSON.stringify(configOf(run)));
    this.#child = spawn("runc", ["run", "--bundle", this.#bundle, this.#id], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.log += text;
      });
    }
  }

  /** What its log says that matches `pattern`. @throws with the log, also when it has ended */
  async says(pattern: RegExp, deadlineMs = 60_000): Promise<string> {
    const found = await eventually(
      `it says ${pattern}`,
      () => pattern.exec(this.log)?.[1] ?? (this.#child.exitCode === null ? undefined : "?"),
      deadlineMs,
    ).catch(() => "?");
    if (found === "?") throw new Error(`it does not say ${pattern}: ${this.log}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      const gone = once(this.#child, "exit");
      spawnSync("runc", ["kill", this.#id, "KILL"]);
      await gone;
    }
    spawnSync("runc", ["delete", "--force", this.#id]);
    rmSync(this.#bundle, { recursive: true, force: true });
  }
}
