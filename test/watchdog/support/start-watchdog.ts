import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "../../support/eventually.ts";

export const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
const BUNDLE = fileURLToPath(new URL("../../../dist/watchdog.mjs", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A watchdog in a process of its own, run the way the local backend runs it. */
export class TestWatchdog implements AsyncDisposable {
  port = 0;
  metricsPort = 0;
  readonly process: ChildProcess;
  readonly tmp: string;
  readonly ended: Promise<Ended>;
  #log = "";

  constructor(env: Readonly<Record<string, string>>, readLog: boolean) {
    this.tmp = mkdtempSync(join(tmpdir(), "faaslane-watchdog-test-"));
    this.process = spawn(process.execPath, [BUNDLE], {
      cwd: FIXTURES,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: {
        PATH: `${FIXTURES}:${process.env.PATH}`,
        TMPDIR: this.tmp,
        NODE: process.execPath,
        port: "0",
        metrics_port: "0",
        bind_address: "127.0.0.1",
        healthcheck_interval: "0s",
        ...env,
      },
    });
    this.ended = new Promise((resolve) => {
      this.process.once("exit", (code, signal) => resolve({ code, signal }));
    });
    this.process.on("message", (message: { type: string; port: number; metricsPort: number }) => {
      if (message.type !== "listening") return;
      this.port = message.port;
      this.metricsPort = message.metricsPort;
    });
    if (!readLog) return;
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        // Floods are looked at by their ends.
        this.#log = (this.#log + chunk.toString("latin1")).slice(-200_000);
      });
    }
  }

  /** What it has printed, both streams together. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`)).text();
  }

  async logged(text: string | RegExp): Promise<void> {
    const found = () => (typeof text === "string" ? this.#log.includes(text) : text.test(this.#log));
    await eventually(`the log says ${text}`, found).catch((error: Error) => {
      throw new Error(`${error.message}; it says: ${this.#log.slice(-2000)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.pid !== undefined) {
      try {
        process.kill(-this.process.pid, "SIGKILL");
      } catch {
        // the whole group has ended
      }
    }
    await this.ended;
    await eventually("all that it has started has ended", () => endProcessesOf(this.tmp) === 0, 20_000);
    rmSync(this.tmp, { recursive: true, force: true });
  }
}

/**
 * Ends the processes that have `tmp` as their folder for temporary files: those of a function may have left the watchdog's
 * group, and then outlive it.
 * @returns how many there were
 */
function endProcessesOf(tmp: string): number {
  const pids = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  const found = pids.map(Number).filter((pid) => isOf(pid, tmp));
  for (const pid of found) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has ended meanwhile
    }
  }
  return found.length;
}

function isOf(pid: number, tmp: string): boolean {
  try {
    // Of one that has ended, and that nobody has taken note of, nothing is left to read.
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`TMPDIR=${tmp}`);
  } catch {
    return false; // ended meanwhile, or another user's
  }
}

/** Starts a watchdog and waits until it has announced itself. */
export async function startWatchdog(env: Readonly<Record<string, string>>): Promise<TestWatchdog> {
  const watchdog = new TestWatchdog(env, true);
  await eventually("the watchdog announces itself", () => watchdog.port !== 0 || !watchdog.running);
  if (watchdog.port !== 0) return watchdog;
  const { log } = watchdog;
  await watchdog[Symbol.asyncDispose]();
  throw new Error(`the watchdog ended: ${log}`);
}

/** Starts a watchdog that need not get as far as serving. */
export function spawnWatchdog(env: Readonly<Record<string, string>>, readLog = true): TestWatchdog {
  return new TestWatchdog(env, readLog);
}
