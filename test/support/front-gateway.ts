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

export interface FrontGateway {
  readonly gateway: OpenGateway;
  readonly provider: FakeProvider;
  readonly folder: string;
  /** Its log so far. */
  readonly log: string;
  /** The URL and the headers that the function `f` got last. */
  readonly seen: { url: string; headers: IncomingHttpHeaders };
  close(): Promise<void>;
}

/** A gateway in this process with one function, `f`, which answers with its URL. */
export async function openFrontGateway(
  env: Readonly<Record<string, string>> = {},
  credentials?: Credentials,
): Promise<FrontGateway> {
  const folder = await temporaryFolder();
  const provider = await FakeProvider.open();
  const seen = { url: "", headers: {} };
  const replica = createServer((req, res) => {
    Object.assign(seen, { url: req.url, headers: req.headers });
    res.end(`f got ${req.url}`);
  });
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  let log = "";
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url.href,
    data_dir: join(folder.path, "data"),
    drain_timeout: "2s",
    ...env,
  });
  const destination = {
    write: (line: string) => {
      log += line;
    },
  };
  const gateway = await openGateway(config, credentials, createLogger("info", destination)).catch(async (error) => {
    await provider.close();
    replica.close();
    await folder.remove();
    throw error;
  });
  await eventually("the gateway follows the provider", () => provider.streamCount === 1);
  const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
  provider.put({ name: "f", endpoints: [{ address, instance: "a", state: "ready" }] });
  return {
    gateway,
    provider,
    folder: folder.path,
    get log() {
      return log;
    },
    seen,
    close: async () => {
      await gateway.close();
      await provider.close();
      replica.closeAllConnections();
      replica.close();
      await folder.remove();
    },
  };
}
