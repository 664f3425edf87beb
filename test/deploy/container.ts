import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { eventually } from "../support/eventually.ts";
import { ROOT } from "../support/platform.ts";

/** What a container is made of: what the kubelet tells its runtime. */
export interface ContainerSpec {
  /** Program and arguments, as paths in the container. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number;
  readonly gid: number;
  /** Folders and files of this machine, by their path in the container. */
  readonly mounts: readonly { readonly from: string; readonly at: string; readonly readOnly: boolean }[];
  readonly workingDir: string;
}

const PROGRAMS = ["bwrap", "nsenter", "setpriv", "tini"] as const;

/** Why containers cannot be run on this machine; undefined when they can. */
export function whyNoContainers(): string | undefined {
  if (process.geteuid?.() !== 0) return "containers cannot be run here: only root can start processes as other users";
  const missing = PROGRAMS.filter((program) => spawnSync(program, ["--version"]).error);
  if (missing.length > 0) return `containers cannot be run here: ${missing.join(", ")} not found`;
  const tried = spawnSync("bwrap", ["--ro-bind", "/", "/", "--unshare-all", "true"], { encoding: "utf8" });
  return tried.status === 0 ? undefined : `containers cannot be run here: bwrap: ${tried.stderr.trim()}`;
}

const findProgram = (name: string) => spawnSync("which", [name], { encoding: "utf8" }).stdout.trim();

/** Programs of the platform's image that are no files of ours, by their path in it. */
export const IMAGE_PROGRAMS = () => [
  { from: process.execPath, at: "/usr/local/bin/node", readOnly: true },
  { from: findProgram("tini"), at: "/usr/local/bin/tini", readOnly: true },
];

/** The parts of this machine that stand for the base of an image: libraries, and nothing that could be written. */
const BASE = ["/lib", "/lib64"].flatMap((path) =>
  existsSync(path) ? ["--symlink", readlinkSync(path).replace(/^\//, ""), path] : [],
);

/** Those that bwrap would make by itself, and for root alone. */
function foldersAbove(paths: readonly string[]): string[] {
  const above = (path: string): string[] => (path === "/" ? [] : [...above(dirname(path)), path]);
  return [...new Set(["/usr", ...paths.flatMap((path) => above(dirname(path)))])];
}

async function childOf(child: ChildProcess): Promise<number> {
  const info = child.stdio[3] as Readable;
  let text = "";
  for await (const chunk of info) {
    text += String(chunk);
    if (text.includes("}")) break;
  }
  return (JSON.parse(text) as { "child-pid": number })["child-pid"];
}

export interface Container {
  /** What it has written so far, logs and errors alike. */
  readonly output: string;
  /** Exit code, once it has ended. */
  readonly ended: Promise<number | null>;
  /** Its first process, as this machine counts. */
  readonly pid: number;
  /** As the kubelet does when the pod goes. */
  terminate(): void;
}

const SIGTTIN_BIT = 1n << 20n;

/** Whether tini has set up its signals: those of the terminal it ignores, once it holds all others back to look at them. */
function takesSignals(pid: number): boolean {
  try {
    const ignored = /^SigIgn:\s+([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return (BigInt(`0x${ignored ?? 0}`) & SIGTTIN_BIT) !== 0n;
  } catch {
    return true; // it has ended already
  }
}

/** A network that containers share, so that each can have the ports that it was given. */
export class Network {
  readonly #holder: ChildProcess;
  readonly #pid: number;
  readonly #containers = new Set<Pick<Container, "pid" | "ended">>();

  private constructor(holder: ChildProcess, pid: number) {
    this.#holder = holder;
    this.#pid = pid;
  }

  static async open(): Promise<Network> {
    const args = ["--bind", "/", "/", "--dev", "/dev", "--unshare-net", "--die-with-parent", "--info-fd", "3"];
    const holder = spawn("bwrap", [...args, "sleep", "infinity"], { stdio: ["ignore", "ignore", "inherit", "pipe"] });
    return new Network(holder, await childOf(holder));
  }

  /** Starts a container with a read-only root, a process tree of its own, and no privileges. */
  async start({ command, env, uid, gid, mounts, workingDir }: ContainerSpec): Promise<Container> {
    const all = [...mounts, { from: findProgram("setpriv"), at: "/.setpriv", readOnly: true }];
    const bwrap = [
      ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent", "--info-fd", "3"],
      ...foldersAbove(all.map(({ at }) => at)).flatMap((path) => ["--dir", path]),
      ...["--ro-bind", "/usr/lib", "/usr/lib", "--ro-bind-try", "/usr/lib64", "/usr/lib64", ...BASE],
      ...["--proc", "/proc", "--dev", "/dev", "--dir", "/tmp"],
      ...all.flatMap(({ from, at, readOnly }) => [readOnly ? "--ro-bind" : "--bind", from, at]),
      ...["--remount-ro", "/", "--chdir", workingDir, "--clearenv"],
      ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
    ];
    const setpriv = [
      ...["--reuid", String(uid), "--regid", String(gid), "--groups", String(gid)],
      ...["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"],
    ];
    const args = [`--net=/proc/${this.#pid}/ns/net`, "bwrap", ...bwrap, "/.setpriv", ...setpriv, ...command];
    const child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "pipe", "pipe"] });
    const ended = once(child, "close").then(([code]) => code as number | null);
    let output = "";
    for (const stream of [child.stdout, child.stderr] as Readable[]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const pid = await childOf(child);
    this.#containers.add({ pid, ended });
    // From then on it is the container's own, and not what prepares it.
    await eventually("its program runs", () => isRunning(pid, command[0] as string), 30_000, 1);
    // An init, too, needs a blink of an eye, in which the kernel keeps signals from the first process of a tree.
    if (command[0]?.endsWith("/tini")) await eventually("its init takes signals", () => takesSignals(pid), 30_000, 1);
    return {
      pid,
      ended,
      get output() {
        return output;
      },
      terminate: () => {
        process.kill(pid, "SIGTERM");
      },
    };
  }

  /** A request from within. @returns status, and the body as text; undefined while nobody answers */
  async ask(
    url: string,
    init: RequestInit = {},
  ): Promise<{ readonly status: number; readonly text: string } | undefined> {
    const code = `const r = await fetch(process.argv[1], JSON.parse(process.argv[2])); console.log(JSON.stringify({ status: r.status, text: await r.text() }));`;
    const stdout = await this.run(process.execPath, ["--input-type=module", "-e", code, url, JSON.stringify(init)]);
    return stdout === "" ? undefined : (JSON.parse(stdout) as { status: number; text: string });
  }

  /** Runs a program of this machine within. @returns what it writes */
  async run(program: string, args: readonly string[]): Promise<string> {
    const child = spawn("nsenter", [`--net=/proc/${this.#pid}/ns/net`, program, ...args], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    for await (const chunk of child.stdout) text += String(chunk);
    return text;
  }

  async close(): Promise<void> {
    for (const { pid, ended } of this.#containers) {
      // The first process takes all others of its tree along.
      if (existsSync(`/proc/${pid}`)) process.kill(pid, "SIGKILL");
      await ended;
    }
    this.#holder.kill("SIGKILL");
    if (this.#holder.exitCode === null && this.#holder.signalCode === null) await once(this.#holder, "exit");
  }
}

function isRunning(pid: number, program: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] === program;
  } catch {
    return true; // it has ended already
  }
}
