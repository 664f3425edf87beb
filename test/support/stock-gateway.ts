import { join } from "node:path";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "./eventually.ts";
import { temporaryFolder } from "./platform.ts";
import { StockProvider, type StockProviderOptions } from "./stock-provider.ts";

export const CREDENTIALS = { user: "admin", password: "secret" };
/** What the gateway shows the provider, and wants of who controls it. */
export const AUTHORIZATION = `Basic ${Buffer.from("admin:secret").toString("base64")}`;

/** A gateway in front of a provider that is not faaslane's. */
export class StockGateway {
  readonly provider: StockProvider;
  readonly gateway: OpenGateway;
  readonly #removeFolder: () => Promise<void>;

  private constructor(provider: StockProvider, gateway: OpenGateway, removeFolder: () => Promise<void>) {
    this.provider = provider;
    this.gateway = gateway;
    this.#removeFolder = removeFolder;
  }

  static async open(
    env: Readonly<Record<string, string>> = {},
    options: StockProviderOptions = {},
  ): Promise<StockGateway> {
    const folder = await temporaryFolder();
    const provider = await StockProvider.open({ authorization: AUTHORIZATION, ...options });
    const config = loadGatewayConfig({
      port: "0",
      metrics_port: "0",
      drain_timeout: "2s",
      functions_provider_url: provider.url.href,
      data_dir: join(folder.path, "data"),
      ...env,
    });
    const gateway = await openGateway(config, CREDENTIALS, createLogger("silent"));
    return new StockGateway(provider, gateway, folder.remove);
  }

  async call(path: string, init?: RequestInit): Promise<Response> {
    return await fetch(`${this.gateway.url}/function/${path}`, init);
  }

  /** With the password. */
  async control(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(this.gateway.url + path, {
      ...init,
      headers: { "content-type": "application/json", ...init.headers, authorization: AUTHORIZATION },
    });
  }

  /** Waits until calls of `path` are answered with `status`. */
  async whenAnswered(path: string, status = 200): Promise<void> {
    await eventually(
      `${path} answers ${status}`,
      async () => {
        const answer = await this.call(path);
        await answer.arrayBuffer();
        return answer.status === status;
      },
      20_000,
      20,
    );
  }

  /** Waits until the gateway says that a function has so many replicas wanted. */
  async whenKnown(name: string, replicas: number): Promise<void> {
    await eventually(
      `${name} is known to have ${replicas} replicas`,
      async () => {
        const answer = await this.control(`/system/scaling/${name}`);
        return answer.status === 200 && ((await answer.json()) as { replicas: number }).replicas === replicas;
      },
      20_000,
      20,
    );
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await this.provider.close();
    await this.#removeFolder();
  }
}
