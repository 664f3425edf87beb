import { join } from "node:path";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, type PlatformOptions, temporaryFolder } from "../support/platform.ts";

/** A platform of its own, with what an operator does to it. */
export interface Operated {
  readonly platform: Platform;
  readonly dataDir: string;
  deploy(name: string, options?: DeployOptions): Promise<void>;
  status(name: string): Promise<Status>;
  /** Waits until so many replicas serve. */
  whenReady(name: string, replicas: number): Promise<void>;
  url(name: string, rest?: string): string;
  /** Calls a function from now on; what was begun before so ends. */
  traffic(url: string, perSecond: number, timeoutMs?: number): Traffic;
  close(): Promise<void>;
}

export interface DeployOptions {
  readonly image?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly envVars?: Readonly<Record<string, string>>;
}

export interface Status {
  readonly replicas?: number;
  readonly availableReplicas?: number;
  readonly problem?: string;
}

/** Answers with its process id, after `ms` milliseconds if asked for. */
const PID = `
  export default (req, res) => {
    const { searchParams } = new URL(req.url, "http://x");
    setTimeout(() => res.end(String(process.pid)), Number(searchParams.get("ms") ?? 0));
  };
`;

/** Files of a function in the watchdog's own process. */
export const inProcess = (source: string, env: Readonly<Record<string, string>> = {}) => ({
  "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs", ...env } }),
  "index.mjs": source,
});

/** Opens a platform with one image, `pid:1`. */
export async function operate(options: Partial<PlatformOptions> = {}): Promise<Operated> {
  const folder = await temporaryFolder();
  const dataDir = options.dataDir ?? join(folder.path, "data");
  const platform = await Platform.start({
    dataDir,
    cwd: folder.path,
    ...options,
    // Replicas are stopped and killed by the process ids that they tell, which mean nothing outside a sandbox.
    env: { sandbox: "off", ...options.env },
  });
  await buildImage(platform, "pid:1", inProcess(PID));
  const status = async (name: string) => (await (await platform.control(`/system/function/${name}`)).json()) as Status;
  let traffic: Traffic | undefined;
  return {
    platform,
    dataDir,
    deploy: async (name, { image = "pid:1", ...more } = {}) => {
      const body = JSON.stringify({ service: name, image, ...more });
      const answer = await platform.control("/system/functions", { method: "POST", body });
      if (answer.status !== 202) throw new Error(`deploy: ${answer.status} ${await answer.text()}`);
    },
    status,
    whenReady: async (name, replicas) => {
      await eventually(
        `${replicas} replicas of ${name} serve`,
        async () => ((await status(name)).availableReplicas ?? 0) === replicas,
        30_000,
        50,
      );
    },
    url: (name, rest = "") => `${platform.url}/function/${name}${rest}`,
    traffic: (...what) => {
      traffic?.halt();
      traffic = new Traffic(...what);
      return traffic;
    },
    close: async () => {
      traffic?.halt();
      await platform.stop();
      await folder.remove();
    },
  };
}

export interface Answer {
  /** 0 when there was none. */
  readonly status: number;
  readonly text: string;
  readonly ms: number;
}

/** One call, to its end. */
export async function call(url: string, timeoutMs = 30_000): Promise<Answer> {
  const startedAt = performance.now();
  const ended = (status: number, text: string) => ({ status, text, ms: performance.now() - startedAt });
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    return ended(response.status, await response.text());
  } catch (error) {
    return ended(0, String((error as Error).cause ?? error));
  }
}

/** Calls that begin at a steady rate, whether or not those before have ended. */
export class Traffic {
  readonly answers: Answer[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Set<Promise<void>>();

  constructor(url: string, perSecond: number, timeoutMs?: number) {
    this.#timer = setInterval(() => {
      const running: Promise<void> = call(url, timeoutMs).then((answer) => {
        this.answers.push(answer);
        this.#running.delete(running);
      });
      this.#running.add(running);
    }, 1000 / perSecond);
  }

  /** Begins no more calls. */
  halt(): void {
    clearInterval(this.#timer);
  }

  /** Begins no more calls and waits for those under way. @returns how many ended with each status */
  async stop(): Promise<Record<number, number>> {
    this.halt();
    await Promise.all(this.#running);
    const counts: Record<number, number> = {};
    for (const { status } of this.answers) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }
}
