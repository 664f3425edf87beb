import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { basicAuthHeader, readCredentials } from "../../kit/basic-auth.ts";
import { eventually } from "./eventually.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** For the environment of our own processes, whose start is a third of what many tests cost. */
export const COMPILE_CACHE = { NODE_COMPILE_CACHE: join(ROOT, "node_modules/.cache/node") };

/** A folder below the system's temporary one; `remove` takes it away. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "faaslane-test-"));
  // Watchdogs that are just dying may still write to their temporary folders.
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 10 }) };
}

export interface PlatformOptions {
  readonly dataDir: string;
  /** Working directory; stack file and handlers are looked for here. */
  readonly cwd?: string;
  /** Path of the stack file; deploys nothing unless given. */
  readonly stackFile?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command, such as `prlimit` with its options. */
  readonly prefix?: readonly string[];
  /** Folder of the sources; these unless given. */
  readonly root?: string;
}

/** `faaslane start` as a child process on ports of its own. */
export class Platform {
  readonly #child: ChildProcess;
  readonly #options: PlatformOptions;
  stdout = "";
  stderr = "";
  /** Exit code or signal, once it has ended. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  #ended = false;

  constructor(options: PlatformOptions) {
    this.#options = options;
    const [command = process.execPath, ...args] = [
      ...(options.prefix ?? []),
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      join(options.root ?? ROOT, "cli/main.ts"),
      "start",
    ];
    this.#child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...COMPILE_CACHE,
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        port: "0",
        metrics_port: "0",
        provider_port: "0",
        data_dir: options.dataDir,
        stack_file: options.stackFile ?? "",
        drain_timeout: "5s",
        ...options.env,
      },
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) =>
      this.#child.on("close", (code, signal) => {
        this.#ended = true;
        resolve(code ?? signal);
      }),
    );
  }

  static async start(options: PlatformOptions): Promise<Platform> {
    const platform = new Platform(options);
    await eventually(
      "the platform is running",
      () => {
        if (platform.#ended) throw new Error(`it ended: ${platform.stderr}${platform.stdout}`);
        return platform.stdout.includes("Ctrl-C");
      },
      30_000,
    );
    return platform;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get url(): string {
    return /running at (https?:\S+)/.exec(this.stdout)?.[1] as string;
  }

  get metricsUrl(): string {
    return /metrics\s+(http:\S+)\/metrics/.exec(this.stdout)?.[1] as string;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Of the provider; told with `log_level=info` only. */
  get providerPort(): number {
    const line = this.stdout.split("\n").find((text) => text.includes("provider is listening")) as string;
    return Number(new URL((JSON.parse(line) as { url: string }).url).port);
  }

  async authorization(): Promise<string> {
    return basicAuthHeader(await readCredentials(this.#options.dataDir));
  }

  /** A request to a control route, with the generated password; text as body goes as JSON. */
  async control(path: string, init: RequestInit = {}): Promise<Response> {
    const type = typeof init.body === "string" ? { "content-type": "application/json" } : {};
    return await fetch(this.url + path, {
      ...init,
      headers: { ...type, ...init.headers, authorization: await this.authorization() },
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<number | NodeJS.Signals | null> {
    this.kill("SIGTERM");
    return await this.ended;
  }
}

/** The children of a process and theirs, from the system's process table. */
export async function descendants(pid: number): Promise<number[]> {
  const tasks = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const children = tasks.trim().split(" ").filter(Boolean).map(Number);
  return [...children, ...(await Promise.all(children.map(descendants))).flat()];
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Whether a process runs; one that only waits for init to take note of its end does not. */
export async function isRunning(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return stat === undefined ? isAlive(pid) : !/\) Z /.test(stat);
}

/** Those of `pids` that run. */
export async function running(pids: readonly number[]): Promise<number[]> {
  const run = await Promise.all(pids.map(isRunning));
  return pids.filter((_, index) => run[index]);
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the CLI with `args` to its end. */
export async function runCli(
  args: readonly string[],
  { cwd, env = {}, stdin }: { cwd: string; env?: Record<string, string>; stdin?: string },
): Promise<CliResult> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(ROOT, "cli/main.ts"), ...args], {
    cwd,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...COMPILE_CACHE, PATH: process.env.PATH, HOME: cwd, ...env },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.end(stdin ?? "");
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, stdout, stderr };
}
