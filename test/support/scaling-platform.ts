import { join } from "node:path";
import { decodeScalingReport, decodeScalingSample, type ScalingSample } from "../../contract/scaling.ts";
import { buildImage } from "./build-upload.ts";
import { eventually } from "./eventually.ts";
import { Platform, temporaryFolder } from "./platform.ts";

/**
 * Says its process id and the how-manieth call of that it is, and ends after `ms` milliseconds, or when the file `until`
 * is there.
 */
const PATIENT = `
  import { existsSync } from "node:fs";
  let calls = 0;
  export default (req, res) => {
    const { searchParams } = new URL(req.url, "http://x");
    calls += 1;
    res.write(process.pid + " " + calls + "\\n");
    const until = searchParams.get("until");
    if (until === null) {
      setTimeout(() => res.end(), Number(searchParams.get("ms") ?? 0));
      return;
    }
    const timer = setInterval(() => {
      if (!existsSync(until) && !res.destroyed) return;
      clearInterval(timer);
      res.end("released\\n");
    }, 20);
  };
`;

const inProcess = (source: string) => ({
  "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs", exec_timeout: "2m" } }),
  "index.mjs": source,
});

export interface FunctionOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly envVars?: Readonly<Record<string, string>>;
  readonly image?: string;
}

export interface Replicas {
  readonly wanted: number;
  readonly ready: number;
}

/** The real platform with functions to scale: a function's labels are its only settings. */
export class ScalingPlatform {
  readonly platform: Platform;
  readonly folder: string;
  readonly #remove: () => Promise<void>;

  private constructor(platform: Platform, folder: string, remove: () => Promise<void>) {
    this.platform = platform;
    this.folder = folder;
    this.#remove = remove;
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<ScalingPlatform> {
    const folder = await temporaryFolder();
    const platform = await Platform.start({
      dataDir: join(folder.path, "data"),
      cwd: folder.path,
      // Replicas are told apart by process ids, which are all the same behind a wall.
      env: { sandbox: "off", ...env },
    });
    await buildImage(platform, "patient:1", inProcess(PATIENT));
    await buildImage(platform, "broken:1", inProcess(`throw new Error("no licence for this");`));
    return new ScalingPlatform(platform, folder.path, folder.remove);
  }

  async stop(): Promise<void> {
    this.platform.kill("SIGKILL");
    await this.platform.ended;
    await this.#remove();
  }

  url(name: string, query = ""): string {
    return `${this.platform.url}/function/${name}${query}`;
  }

  async deploy(name: string, { labels = {}, envVars = {}, image = "patient:1" }: FunctionOptions = {}): Promise<void> {
    const body = JSON.stringify({ service: name, image, labels, envVars });
    const response = await this.platform.control("/system/functions", { method: "POST", body });
    if (response.status !== 202) throw new Error(`deploy: ${response.status} ${await response.text()}`);
  }

  async remove(name: string): Promise<void> {
    const body = JSON.stringify({ functionName: name });
    const response = await this.platform.control("/system/functions", { method: "DELETE", body });
    if (response.status !== 202) throw new Error(`remove: ${response.status} ${await response.text()}`);
  }

  async scale(name: string, replicas: number): Promise<void> {
    const body = JSON.stringify({ serviceName: name, replicas });
    const response = await this.platform.control(`/system/scale-function/${name}`, { method: "POST", body });
    if (response.status !== 202) throw new Error(`scale: ${response.status} ${await response.text()}`);
  }

  async replicas(name: string): Promise<Replicas> {
    const response = await this.platform.control(`/system/function/${name}`);
    if (response.status !== 200) throw new Error(`status: ${response.status} ${await response.text()}`);
    const { replicas = 0, availableReplicas = 0 } = (await response.json()) as Record<string, number | undefined>;
    return { wanted: replicas, ready: availableReplicas };
  }

  /** Waits until so many replicas are wanted and ready. @returns milliseconds that it took */
  async whenScaled(name: string, replicas: number, deadlineMs = 30_000): Promise<number> {
    const since = performance.now();
    const settled = async () => {
      const { wanted, ready } = await this.replicas(name);
      return wanted === replicas && ready === replicas;
    };
    await eventually(`${name} has ${replicas} replicas`, settled, deadlineMs, 50).catch(async (cause: unknown) => {
      throw new Error(`it was decided: ${await this.explain(name)}`, { cause });
    });
    return performance.now() - since;
  }

  /** The last decisions, a line each. */
  async explain(name: string): Promise<string> {
    const response = await this.platform.control(`/system/scaling/${name}`);
    if (response.status !== 200) return `${response.status}`;
    const { decisions, last } = decodeScalingReport(await response.json());
    return [...decisions, ...(last ? [last] : [])]
      .slice(-15)
      .map(({ at, from, ready, to, steps }) => `${at} ${from}(${ready})→${to}: ${steps.map((s) => s.text).join("; ")}`)
      .join("\n");
  }

  /** What the gateway has seen of a function, a sample a second. @param since milliseconds since the epoch */
  async history(name: string, since = 0): Promise<ScalingSample[]> {
    const query = `?since=${new Date(since).toISOString()}`;
    const response = await this.platform.control(`/system/scaling/${name}/history${query}`);
    if (response.status === 404) return []; // its first second is not over
    if (response.status !== 200) throw new Error(`history: ${response.status} ${await response.text()}`);
    return (await response.text())
      .split("\n")
      .filter(Boolean)
      .map((line) => decodeScalingSample(JSON.parse(line)));
  }

  /** Waits for that many further seconds of history, which is the clock that decisions go by. */
  async whenSeen(name: string, seconds: number): Promise<void> {
    const until = ((await this.history(name)).at(-1)?.t ?? Date.now()) + seconds * 1000 - 500;
    const seen = async () => ((await this.history(name)).at(-1)?.t ?? 0) >= until;
    await eventually(`${seconds} s of ${name} are seen`, seen, seconds * 2000 + 10_000, 100);
  }

  /** A metric of the gateway of one function; 0 where it has none. */
  async metric(metric: string, name: string): Promise<number> {
    const text = await (await fetch(`${this.platform.metricsUrl}/metrics`)).text();
    const line = text.split("\n").find((l) => l.startsWith(`${metric}{function_name="${name}.openfaas-fn"`));
    return Number(line?.split(" ").at(-1) ?? 0);
  }
}

/** A call whose answer is read as it comes. */
export class OpenCall {
  readonly status: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #leave: AbortController;
  #text = "";

  private constructor(response: Response, leave: AbortController) {
    this.status = response.status;
    this.#reader = (response.body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
    this.#leave = leave;
  }

  /** Resolves with the first bytes. */
  static async begin(url: string): Promise<OpenCall> {
    const leave = new AbortController();
    const call = new OpenCall(await fetch(url, { signal: leave.signal }), leave);
    await call.#read();
    return call;
  }

  /** First word of the answer. */
  get pid(): string {
    return this.#text.split(" ")[0] as string;
  }

  /** The whole answer. @throws when it breaks off */
  async end(): Promise<string> {
    while (await this.#read());
    return this.#text;
  }

  /** Leaves without waiting for the end. */
  leave(): void {
    this.#leave.abort();
  }

  async #read(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    this.#text += Buffer.from(value ?? []).toString();
    return !done;
  }
}
