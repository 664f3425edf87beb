import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { COMPILE_CACHE, ROOT } from "./platform.ts";

export interface ServerProcess {
  readonly url: string;
  /** Of a gateway; told with `log_level=info` only, which is the default. */
  readonly metricsUrl: string;
  readonly pid: number;
  /** What it has written so far, logs and errors alike. */
  readonly output: string;
  /** Exit code. May be called twice. */
  stop(): Promise<number | null>;
  /** As a power cut does. May be called twice. */
  kill(): Promise<void>;
}

const LISTENS_WITHIN_MS = 30_000;

/** A package has it compiled. */
function programIn(root: string, main: ServerMain): string {
  const source = join(root, main);
  return existsSync(source) ? source : source.replace(/\.ts$/, ".js");
}

export type ServerMain =
  | "gateway/process/main.ts"
  | "gateway/process/queue-worker/main.ts"
  | "gateway/process/event-worker/main.ts"
  | "provider/main.ts"
  | "test/fuzz/bare-provider.ts";

/**
 * One of the processes, on a port of its own unless `env` says which, without a password. A queue worker's URL is that of
 * its metrics.
 * @param root folder of the sources
 * @param prefix put before the command, such as `prlimit` with its options
 */
export async function startServerProcess(
  main: ServerMain,
  env: Readonly<Record<string, string>>,
  root: string = ROOT,
  prefix: readonly string[] = [],
): Promise<ServerProcess> {
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", programIn(root, main)];
  const [command = process.execPath, ...args] = [...prefix, ...node];
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...COMPILE_CACHE,
      PATH: process.env.PATH,
      port: "0",
      metrics_port: "0",
      basic_auth: "false",
      drain_timeout: "2s",
      ...env,
    },
  });
  const ended = once(child, "close").then(([code]) => code as number | null);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  try {
    const listening = eventually(
      `${main} listens`,
      () => /"(?:url|metrics)":"((?:https?|unix):[^"]+)"/.exec(output)?.[1],
      LISTENS_WITHIN_MS,
    );
    const url = await Promise.race([
      listening,
      ended.then(() => {
        throw new Error(`${main} ended: ${output}`);
      }),
    ]);
    return {
      url,
      get metricsUrl() {
        return /"metrics":"(http:[^"]+)"/.exec(output)?.[1] as string;
      },
      pid: child.pid as number,
      get output() {
        return output;
      },
      stop,
      kill: async () => {
        child.kill("SIGKILL");
        await ended;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
