import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { FakeProvider } from "./fake-provider.ts";
import { temporaryFolder } from "./platform.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

type Replica = (req: IncomingMessage, res: ServerResponse) => void;

/** A gateway as a process of its own with several workers, in front of a provider and replicas in this one. */
export class GatewayWithWorkers {
  readonly provider: FakeProvider;
  readonly gateway: ServerProcess;
  readonly #replicas: Server[] = [];
  readonly #removeFolder: () => Promise<void>;

  private constructor(provider: FakeProvider, gateway: ServerProcess, removeFolder: () => Promise<void>) {
    this.provider = provider;
    this.gateway = gateway;
    this.#removeFolder = removeFolder;
  }

  static async open(env: Readonly<Record<string, string>> = {}): Promise<GatewayWithWorkers> {
    const folder = await temporaryFolder();
    const provider = await FakeProvider.open();
    const gateway = await startServerProcess("gateway/process/main.ts", {
      functions_provider_url: provider.url.href,
      data_dir: join(folder.path, "data"),
      gateway_workers: "2",
      drain_timeout: "10s",
      ...env,
    }).catch(async (error: unknown) => {
      await provider.close();
      await folder.remove();
      throw error;
    });
    await eventually("the gateway follows the provider", () => provider.streamCount === 1, 20_000);
    return new GatewayWithWorkers(provider, gateway, folder.remove);
  }

  get port(): number {
    return Number(new URL(this.gateway.url).port);
  }

  get metricsUrl(): string {
    return /"metrics":"([^"]+)"/.exec(this.gateway.output)?.[1] as string;
  }

  /** Starts a replica. @returns its address */
  async replica(handle: Replica): Promise<string> {
    const server = createServer(handle);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#replicas.push(server);
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Starts one that goes on with whatever protocol it is offered, and echoes what it gets. @returns its address */
  async switchingReplica(): Promise<string> {
    const address = await this.replica((_req, res) => res.end("plain"));
    this.#replicas.at(-1)?.on("upgrade", (req, socket) => {
      socket.on("error", () => {});
      const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", `Upgrade: ${req.headers.upgrade}`];
      socket.write(`${lines.join("\r\n")}\r\n\r\n`);
      socket.pipe(socket);
    });
    return address;
  }

  /** Announces a function with these replicas, and waits until all workers take calls of it. */
  async deploy(
    name: string,
    addresses: readonly string[],
    other: Partial<Parameters<FakeProvider["put"]>[0]> = {},
  ): Promise<void> {
    const endpoints = addresses.map((address) => ({ address, instance: address, state: "ready" as const }));
    this.provider.put({ name, replicas: addresses.length, endpoints, ...other });
    const series = `gateway_service_ready_count{function_name="${name}.openfaas-fn"} ${addresses.length}`;
    await eventually(`${name} is known`, async () => (await this.metrics()).includes(series), 20_000);
  }

  async metrics(): Promise<string> {
    return await (await fetch(`${this.metricsUrl}/metrics`)).text();
  }

  /** Sum of the series of `name` for a function. */
  async metric(name: string, functionName: string): Promise<number> {
    let sum = 0;
    for (const line of (await this.metrics()).split("\n")) {
      if (!line.startsWith(`${name}{`) || !line.includes(`function_name="${functionName}.openfaas-fn"`)) continue;
      sum += Number(line.slice(line.lastIndexOf(" ") + 1));
    }
    return sum;
  }

  /** A call over a connection of its own. */
  async call(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(this.gateway.url + path, { ...init, headers: { connection: "close", ...init.headers } });
  }

  /** A connection to the gateway that nothing has been said on. */
  async dial(): Promise<Socket> {
    const socket = connect(this.port, "127.0.0.1");
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    return socket;
  }

  async close(): Promise<void> {
    await this.gateway.stop();
    for (const server of this.#replicas) {
      server.closeAllConnections();
      server.close();
    }
    await this.provider.close();
    await this.#removeFolder();
  }
}
