import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import type { Credentials } from "../../kit/basic-auth.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "./eventually.ts";
import { FakeProvider } from "./fake-provider.ts";
import { temporaryFolder } from "./platform.ts";

/** What reached a function. */
export interface Reached {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  /** So far: it grows while the body comes. */
  body: string;
  /** Once the body was whole. */
  whole: boolean;
}

/**
 * A gateway in this process, for functions with policies. They answer `ok`; `/bytes/<n>` with so many bytes, and
 * `/stream/<n>` with so many without saying before how many.
 */
export class GuardedGateway {
  readonly reached: Reached[] = [];
  /** Set by functions on all their answers. */
  answerHeaders: Record<string, string> = {};
  readonly gateway: OpenGateway;
  readonly provider: FakeProvider;
  readonly #close: () => Promise<void>;
  readonly #address: () => string;
  readonly #secrets: string;
  #count = 0;

  private constructor(parts: {
    gateway: OpenGateway;
    provider: FakeProvider;
    secrets: string;
    address: () => string;
    close: () => Promise<void>;
  }) {
    this.gateway = parts.gateway;
    this.provider = parts.provider;
    this.#secrets = parts.secrets;
    this.#address = parts.address;
    this.#close = parts.close;
  }

  /** @param credentials of the platform; none when absent */
  static async open(env: Readonly<Record<string, string>> = {}, credentials?: Credentials): Promise<GuardedGateway> {
    const folder = await temporaryFolder();
    const provider = await FakeProvider.open();
    let self: GuardedGateway | undefined;
    const replica = createServer((req, res) => {
      const reached: Reached = {
        method: req.method as string,
        url: req.url as string,
        headers: req.headers,
        rawHeaders: req.rawHeaders,
        body: "",
        whole: false,
      };
      self?.reached.push(reached);
      req.setEncoding("latin1").on("data", (piece: string) => {
        reached.body += piece;
      });
      req.on("error", () => {});
      req.on("end", () => {
        reached.whole = true;
        for (const [name, value] of Object.entries(self?.answerHeaders ?? {})) res.setHeader(name, value);
        const [, form, count] = /^\/(bytes|stream)\/(\d+)/.exec(reached.url) ?? [];
        if (form === undefined) res.end("ok");
        else if (form === "bytes") res.setHeader("Content-Length", count as string).end("x".repeat(Number(count)));
        else {
          res.flushHeaders();
          for (let left = Number(count); left > 0; left -= 1000) res.write("x".repeat(Math.min(left, 1000)));
          res.end();
        }
      });
    });
    await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
    const secrets = join(folder.path, "secrets");
    const config = loadGatewayConfig({
      port: "0",
      metrics_port: "0",
      functions_provider_url: provider.url.href,
      data_dir: join(folder.path, "data"),
      function_secrets_path: secrets,
      drain_timeout: "2s",
      scale_up_timeout: "20s",
      max_retry_attempts: "0",
      ...env,
    });
    const gateway = await openGateway(config, credentials, createLogger("silent"));
    await eventually("the gateway follows the provider", () => provider.streamCount === 1);
    self = new GuardedGateway({
      gateway,
      provider,
      secrets,
      address: () => `127.0.0.1:${(replica.address() as AddressInfo).port}`,
      close: async () => {
        await gateway.close();
        await provider.close();
        replica.closeAllConnections();
        replica.close();
        await folder.remove();
      },
    });
    return self;
  }

  get url(): string {
    return this.gateway.url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Requests to bring up replicas so far. */
  get wakes(): number {
    return this.provider.requests.filter(({ url }) => url.startsWith("/system/scale-function/")).length;
  }

  /**
   * Deploys a function of its own.
   * @param settings annotations by what follows `com.faaslane.`
   * @param asleep whether it has no replica
   * @returns its name
   */
  deploy(settings: Readonly<Record<string, string>>, asleep = false): string {
    const name = `f${++this.#count}`;
    this.change(name, settings, asleep);
    return name;
  }

  change(name: string, settings: Readonly<Record<string, string>>, asleep = false): void {
    const annotations = Object.fromEntries(
      Object.entries(settings).map(([setting, value]) => [`com.faaslane.${setting}`, value]),
    );
    const endpoints = asleep ? [] : [{ address: this.#address(), instance: "a", state: "ready" as const }];
    this.provider.put({ name, annotations, endpoints, replicas: asleep ? 0 : 1 });
  }

  async secret(name: string, value: string): Promise<void> {
    const folder = join(this.#secrets, "openfaas-fn");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, name), value);
  }

  /** @param path starts with the function's name */
  async call(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(`${this.url}/function/${path}`, init);
  }

  async accept(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(`${this.url}/async-function/${path}`, { method: "POST", ...init });
  }

  async close(): Promise<void> {
    await this.#close();
  }
}
