import { join } from "node:path";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { temporaryFolder } from "../support/platform.ts";

/** A gateway of its own before a provider that a test plays. */
export class ScalingGateway {
  readonly provider: FakeProvider;
  readonly gateway: OpenGateway;
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>;

  private constructor(provider: FakeProvider, gateway: OpenGateway, folder: typeof ScalingGateway.prototype.folder) {
    this.provider = provider;
    this.gateway = gateway;
    this.#folder = folder;
  }

  get folder(): Awaited<ReturnType<typeof temporaryFolder>> {
    return this.#folder;
  }

  static async open(env: Readonly<Record<string, string>> = {}): Promise<ScalingGateway> {
    const folder = await temporaryFolder();
    const provider = await FakeProvider.open();
    const config = loadGatewayConfig({
      port: "0",
      metrics_port: "0",
      functions_provider_url: provider.url.href,
      data_dir: join(folder.path, "data"),
      drain_timeout: "2s",
      ...env,
    });
    const gateway = await openGateway(config, CREDENTIALS, createLogger("silent"));
    await eventually("the gateway follows the provider", () => provider.streamCount === 1);
    return new ScalingGateway(provider, gateway, folder);
  }

  /** With the password. */
  async control(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(this.gateway.url + path, {
      ...init,
      headers: { "content-type": "application/json", ...init.headers, authorization: AUTHORIZATION },
    });
  }

  /** Orders that the provider got, oldest first. */
  orders(): unknown[] {
    return this.provider.requests
      .filter(({ url }) => url.startsWith("/system/scale-function/"))
      .map(({ body }) => {
        const { serviceName, namespace, replicas } = JSON.parse(body) as Record<string, unknown>;
        return { serviceName, namespace, replicas };
      });
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await this.provider.close();
    await this.#folder.remove();
  }
}

const CREDENTIALS = { user: "admin", password: "secret" };
const AUTHORIZATION = `Basic ${Buffer.from("admin:secret").toString("base64")}`;
