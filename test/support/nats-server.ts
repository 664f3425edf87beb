import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

const PROGRAM = "nats-server";

export interface NatsOptions {
  /** Further lines of its configuration. */
  readonly config?: string;
  readonly maxPayload?: number;
  /** Bytes that all streams together may reserve; plenty, whatever the disk has free. */
  readonly maxFileStore?: number;
}

/** A `nats-server` of its own, with JetStream on a folder that outlives the process. */
export class NatsServer {
  readonly folder: string;
  readonly #config: string;
  readonly #maxFileStore: number;
  #port: number;
  #process: ChildProcess | undefined;
  #log = "";

  private constructor(folder: string, config: string, port: number, maxFileStore = 2 ** 40) {
    this.folder = folder;
    this.#config = config;
    this.#maxFileStore = maxFileStore;
    this.#port = port;
  }

  static async start(options: NatsOptions = {}): Promise<NatsServer> {
    const folder = await mkdtemp(join(tmpdir(), "faaslane-nats-"));
    const lines = [`max_payload: ${options.maxPayload ?? 1024 ** 2}`, options.config ?? ""];
    const server = new NatsServer(folder, lines.join("\n"), -1, options.maxFileStore);
    await server.restart();
    return server;
  }

  /** Servers that find each other, ready once they have chosen a leader. */
  static async startCluster(size: number): Promise<NatsServer[]> {
    const routes = await Promise.all(Array.from({ length: size }, freePort));
    const urls = routes.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
    const servers = await Promise.all(
      routes.map(async (route, i) => {
        const folder = await mkdtemp(join(tmpdir(), "faaslane-nats-"));
        const lines = [
          `server_name: n${i}`,
          `cluster { name: c, listen: "127.0.0.1:${route}", routes: [${urls}], no_advertise: true }`,
          `http: "127.0.0.1:-1"`,
        ];
        const server = new NatsServer(folder, lines.join("\n"), -1);
        await server.restart();
        return server;
      }),
    );
    await eventually(
      "the cluster has a leader",
      () => servers.some((server) => server.saw("JetStream cluster new metadata leader")),
      30_000,
    );
    return servers;
  }

  /** `host:port` for clients. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#process?.pid as number;
  }

  /** Whether it has logged `text` since it was started last. */
  saw(text: string): boolean {
    return this.#log.includes(text);
  }

  /** Starts it (again) on its folder and its port. */
  async restart(): Promise<void> {
    await this.kill();
    const config = join(this.folder, "nats.conf");
    const ports = join(this.folder, "ports");
    await rm(ports, { recursive: true, force: true });
    await writeFile(
      config,
      [
        `listen: "127.0.0.1:${this.#port}"`,
        `ports_file_dir: "${this.folder}"`,
        `jetstream { store_dir: "${join(this.folder, "store")}", max_file_store: ${this.#maxFileStore} }`,
        this.#config,
      ].join("\n"),
    );
    this.#log = "";
    const child = spawn(PROGRAM, ["-c", config], {
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process = child;
    child.stderr?.on("data", (data) => {
      this.#log = (this.#log + data).slice(-100_000);
    });
    child.once("error", (error) => {
      this.#log += String(error);
    });
    await eventually(
      "nats-server is ready",
      async () => {
        if (child.exitCode !== null) throw new Error(`nats-server ended: ${this.#log}`);
        return this.saw("Server is ready") && (await this.#readPort(child.pid as number));
      },
      20_000,
    );
  }

  async #readPort(pid: number): Promise<boolean> {
    const name = (await readdir(this.folder)).find((file) => file.endsWith(`_${pid}.ports`));
    if (!name) return false;
    const { nats } = JSON.parse(await readFile(join(this.folder, name), "utf8")) as { nats: string[] };
    this.#port = Number(new URL(nats[0] as string).port);
    return true;
  }

  /** Where it keeps the messages of a stream. To be touched while it does not run. */
  messagesOf(stream: string): string {
    return join(this.folder, "store", "jetstream", "$G", "streams", stream, "msgs");
  }

  /** As a power cut does. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Lets it write everything down. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }

  /** Ends it and removes its folder. */
  async remove(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
