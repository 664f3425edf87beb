import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { eventually } from "./eventually.ts";
import { FakeProvider } from "./fake-provider.ts";
import { temporaryFolder } from "./platform.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

export interface LoneGatewayOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command, such as `prlimit` with its options. */
  readonly prefix?: readonly string[];
}

/** A replica that is a process, and no child of a provider that would mend it. */
export interface ReplicaProcess {
  readonly process: ChildProcess;
  readonly pid: number;
  /** `host:port`. */
  readonly address: string;
}

/** A gateway as a process, whose provider says what it is told, true or not. */
export class LoneGateway {
  readonly gateway: ServerProcess;
  readonly provider: FakeProvider;
  readonly folder: string;
  readonly #replicas: ReplicaProcess[] = [];
  readonly #removeFolder: () => Promise<void>;

  private constructor(
    gateway: ServerProcess,
    provider: FakeProvider,
    folder: { path: string; remove(): Promise<void> },
  ) {
    this.gateway = gateway;
    this.provider = provider;
    this.folder = folder.path;
    this.#removeFolder = folder.remove;
  }

  static async start({ env = {}, prefix = [] }: LoneGatewayOptions = {}): Promise<LoneGateway> {
    const folder = await temporaryFolder();
    const provider = await FakeProvider.open();
    try {
      const gateway = await startServerProcess(
        "gateway/process/main.ts",
        { data_dir: folder.path, functions_provider_url: provider.url.href, ...env },
        undefined,
        prefix,
      );
      await eventually("the gateway follows the provider", () => provider.streamCount === 1, 30_000);
      return new LoneGateway(gateway, provider, folder);
    } catch (error) {
      await provider.close();
      await folder.remove();
      throw error;
    }
  }

  get port(): number {
    return Number(new URL(this.gateway.url).port);
  }

  url(name: string, rest = ""): string {
    return `${this.gateway.url}/function/${name}${rest}`;
  }

  async startReplicas(count: number): Promise<ReplicaProcess[]> {
    const program = fileURLToPath(new URL("replica-process.mjs", import.meta.url));
    const started = await Promise.all(
      Array.from({ length: count }, async () => {
        const child = fork(program, { execArgv: [] });
        const [port] = (await once(child, "message")) as [number];
        return { process: child, pid: child.pid as number, address: `127.0.0.1:${port}` };
      }),
    );
    this.#replicas.push(...started);
    return started;
  }

  /** Announces a function with a replica at each address, and waits until it answers. */
  async announce(name: string, addresses: readonly string[]): Promise<void> {
    this.put(name, addresses);
    await eventually(`${name} answers`, async () => (await fetch(this.url(name))).status === 200, 30_000, 20);
  }

  put(name: string, addresses: readonly string[]): void {
    const endpoints = addresses.map((address) => ({ address, instance: address, state: "ready" as const }));
    this.provider.put({ name, replicas: addresses.length, endpoints });
  }

  /** The sum of a metric of the gateway over its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.gateway.metricsUrl}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  async close(): Promise<void> {
    for (const { process: child } of this.#replicas) child.kill("SIGKILL");
    await this.gateway.stop();
    await this.provider.close();
    await this.#removeFolder();
  }
}
