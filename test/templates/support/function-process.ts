import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BuildContext, layOut } from "./build-context.ts";

const WATCHDOG = join(import.meta.dirname, "../../../dist/watchdog.mjs");

/** One replica of a function, run as the local backend runs it. */
export interface FunctionProcess {
  readonly url: string;
  readonly port: number;
  /** A folder of the replica's own. */
  readonly scratch: string;
  /** What it has written to stdout and stderr so far. */
  readonly log: () => string;
  readonly child: ChildProcess;
  /** Asks it to drain; the exit code, or the signal that ended it. */
  terminate(): Promise<number | string>;
  /** Ends it and removes its files. */
  remove(): Promise<void>;
}

export interface FunctionOptions {
  /** As in `layOut`. */
  readonly handler?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
}

/** Builds a function from a template and starts the real watchdog over it; resolves when it serves. */
export async function startFunction(template: string, options: FunctionOptions = {}): Promise<FunctionProcess> {
  const context = await layOut(template, options.handler);
  try {
    return await run(context, options);
  } catch (error) {
    await context.remove();
    throw error;
  }
}

async function run(context: BuildContext, { env = {}, secrets = {} }: FunctionOptions): Promise<FunctionProcess> {
  const scratch = await mkdtemp(join(context.dir, ".scratch-"));
  const secretsDir = await mkdtemp(join(context.dir, ".secrets-"));
  for (const [name, value] of Object.entries(secrets)) await writeFile(join(secretsDir, name), value, { mode: 0o600 });

  const child = spawn(process.execPath, [WATCHDOG], {
    cwd: context.dir,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: {
      PATH: process.env.PATH,
      HOME: context.dir,
      TMPDIR: scratch,
      healthcheck_interval: "0s",
      ...context.env,
      ...env,
      port: "0",
      metrics_port: "0",
      bind_address: "127.0.0.1",
      OPENFAAS_NAME: "probe",
      OPENFAAS_NAMESPACE: "openfaas-fn",
      FAASLANE_SECRETS_DIR: secretsDir,
    },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  const exited = once(child, "close").then(([code, signal]): number | string => code ?? signal);
  const listening = new Promise<number>((resolve, reject) => {
    child.on("message", (message: { type?: string; port?: number }) => {
      if (message.type === "listening" && message.port !== undefined) resolve(message.port);
    });
    exited.then((code) => reject(new Error(`the watchdog ended with ${code}: ${log}`)), reject);
  });

  const remove = async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), "SIGKILL");
    await exited;
    await context.remove();
  };
  try {
    const port = await listening;
    return {
      url: `http://127.0.0.1:${port}`,
      port,
      scratch,
      log: () => log,
      child,
      terminate: async () => {
        child.kill("SIGTERM");
        return await exited;
      },
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
