import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";
import { NatsServer } from "./nats-server.ts";
import { descendants, runCli, running, temporaryFolder } from "./platform.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

export interface StackFunction {
  /** Source of its `handler.js`. */
  readonly handler: string;
  readonly replicas?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface AsyncStackOptions {
  readonly queue: "embedded" | "jetstream";
  readonly functions: Readonly<Record<string, StackFunction>>;
  /** Of NATS; 1 unless given. */
  readonly servers?: number;
  /** Processes; 1 unless given, none with the embedded queue. */
  readonly workers?: number;
  /** Of gateway and workers alike. */
  readonly env?: Readonly<Record<string, string>>;
}

const TAIL_CHARACTERS = 4000;

type Env = Readonly<Record<string, string>>;

/** All that asynchronous calls go through, each a process of its own that can be killed and started again where it was. */
export class AsyncStack {
  readonly folder: string;
  readonly nats: readonly NatsServer[];
  readonly workers: ServerProcess[] = [];
  gateway!: ServerProcess;
  provider!: ServerProcess;
  readonly #removeFolder: () => Promise<void>;
  readonly #options: AsyncStackOptions;
  readonly #port: number;

  private constructor(
    folder: { path: string; remove(): Promise<void> },
    nats: readonly NatsServer[],
    options: AsyncStackOptions,
    port: number,
  ) {
    this.folder = folder.path;
    this.#removeFolder = folder.remove;
    this.nats = nats;
    this.#options = options;
    this.#port = port;
  }

  static async start(options: AsyncStackOptions): Promise<AsyncStack> {
    const { servers = 1 } = options;
    const folder = await temporaryFolder();
    let nats: NatsServer[] = [];
    if (options.queue === "jetstream") {
      nats = servers > 1 ? await NatsServer.startCluster(servers) : [await NatsServer.start()];
    }
    const stack = new AsyncStack(folder, nats, options, await freePort());
    try {
      await stack.#start();
    } catch (error) {
      await stack.remove();
      throw error;
    }
    return stack;
  }

  async #start(): Promise<void> {
    const { workers = 1, queue } = this.#options;
    // Functions write down what happens to them in a file that only this test knows, and are told apart by process ids.
    const env = { data_dir: join(this.folder, "provider"), sandbox: "off" };
    this.provider = await startServerProcess("provider/main.ts", env);
    await this.startGateway();
    await this.#deploy();
    for (let i = 0; i < (queue === "jetstream" ? workers : 0); i++) await this.startWorker(i);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** @param more settings, for as long as it runs */
  async startGateway(more: Env = {}): Promise<void> {
    const env = { ...this.#env, port: String(this.#port), data_dir: join(this.folder, "gateway"), ...more };
    this.gateway = await startServerProcess("gateway/process/main.ts", env);
  }

  async startWorker(place: number): Promise<void> {
    this.workers[place] = await startServerProcess("gateway/process/queue-worker/main.ts", {
      ...this.#env,
      gateway_url: this.url,
    });
  }

  /** Another gateway or worker beside these, of whose end the caller takes care. @param root folder of its sources */
  async startBeside(
    main: "gateway/process/main.ts" | "gateway/process/queue-worker/main.ts" | "gateway/process/event-worker/main.ts",
    more: Env,
    root?: string,
  ): Promise<ServerProcess> {
    return await startServerProcess(main, { ...this.#env, ...more }, root);
  }

  get #env(): Env {
    return {
      functions_provider_url: this.provider.url,
      ...this.#queueEnv,
      ...this.#options.env,
    };
  }

  get #queueEnv(): Env {
    if (this.#options.queue === "embedded") return { queue: "embedded" };
    const servers = this.nats.map(({ address }) => `nats://${address}`).join(",");
    return { queue: "jetstream", nats_url: servers, nats_stream_replicas: String(this.nats.length) };
  }

  async #deploy(): Promise<void> {
    const project = join(this.folder, "project");
    const functions: Record<string, unknown> = {};
    for (const [name, { handler, replicas = 1, annotations = {}, env = {} }] of Object.entries(
      this.#options.functions,
    )) {
      await mkdir(join(project, name), { recursive: true });
      await writeFile(join(project, name, "handler.js"), handler);
      const scale = { "com.openfaas.scale.min": String(replicas), "com.openfaas.scale.max": String(replicas) };
      const environment = { ...env, LEDGER: this.ledgerPath };
      functions[name] = { lang: "node", handler: `./${name}`, image: name, labels: scale, annotations, environment };
    }
    // JSON is YAML.
    await writeFile(join(project, "stack.yml"), JSON.stringify({ provider: { name: "openfaas" }, functions }));
    const up = await runCli(["up"], { cwd: project, env: { OPENFAAS_URL: this.url } });
    if (up.code !== 0) throw new Error(up.stdout + up.stderr);
    for (const [name, { replicas = 1 }] of Object.entries(this.#options.functions)) {
      await eventually(
        `all replicas of ${name} are ready`,
        async () => {
          const status = await fetch(`${this.url}/system/function/${name}`);
          return ((await status.json()) as { availableReplicas?: number }).availableReplicas === replicas;
        },
        30_000,
        50,
      );
    }
  }

  get ledgerPath(): string {
    return join(this.folder, "ledger");
  }

  /** Processes of replicas that run functions. */
  async replicas(): Promise<number[]> {
    const pids = await descendants(this.provider.pid);
    const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
    return pids.filter((_, i) => /watchdog/.test(commands[i] as string));
  }

  /** The last of what each process has written, for whoever looks why something failed. */
  output(): string {
    const workers = this.workers.map((worker, i) => [`worker ${i}`, worker] as const);
    return [["provider", this.provider] as const, ["gateway", this.gateway] as const, ...workers]
      .map(([name, { output }]) => `--- ${name}\n${output.slice(-TAIL_CHARACTERS)}\n`)
      .join("");
  }

  /** Ends all of it. @returns processes that outlived it, which there are to be none of */
  async remove(): Promise<number[]> {
    const children = this.provider ? await descendants(this.provider.pid) : [];
    await Promise.all(this.workers.map((worker) => worker?.stop()));
    await this.gateway?.stop();
    await this.provider?.stop();
    await Promise.all(this.nats.map((server) => server.remove()));
    await this.#removeFolder();
    return await running(children);
  }
}
