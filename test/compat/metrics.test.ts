import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { temporaryFolder } from "../support/platform.ts";
import { startWatchdog } from "../watchdog/support/start-watchdog.ts";
import { expectSeries, GATEWAY_SERIES, readSamples, WATCHDOG_SERIES } from "./series.ts";

test("a gateway counts calls under OpenFaaS's names", async () => {
  const folder = await temporaryFolder();
  const provider = await FakeProvider.open();
  const replica = createServer((_req, res) => res.end("here"));
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url.href,
    data_dir: join(folder.path, "data"),
  });
  const gateway = await openGateway(config, { user: "admin", password: "secret" }, createLogger("silent"));
  try {
    await eventually("the gateway follows the provider", () => provider.streamCount === 1);
    const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
    provider.put({ name: "f", replicas: 1, endpoints: [{ address, instance: "a", state: "ready" }] });
    await eventually("f is known", async () => (await fetch(`${gateway.url}/function/f`)).status === 200);
    // A call is counted once its answer has been sent whole, which a client may see before.
    const text = await eventually("the call is counted", async () => {
      const said = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
      return said.includes("gateway_functions_seconds_count{") && said;
    });
    expectSeries(text, GATEWAY_SERIES);
    for (const { name, labels } of readSamples(text)) {
      if (GATEWAY_SERIES.some(([series]) => series === name)) expect(labels.function_name).toBe("f.openfaas-fn");
    }
  } finally {
    await gateway.close();
    await provider.close();
    replica.closeAllConnections();
    replica.close();
    await folder.remove();
  }
});

test.each([
  ["classic", { mode: "classic", fprocess: "cat" }],
  ["http", { mode: "http", fprocess: "reflect", upstream_url: "http://127.0.0.1:0" }],
])("a watchdog counts calls under the names of OpenFaaS's: %s", async (_mode, env) => {
  await using watchdog = await startWatchdog(env);
  await (await fetch(watchdog.url, { method: "POST", body: "x" })).text();
  const text = await eventually("the call is counted", async () => {
    const said = await watchdog.metrics();
    return said.includes("http_requests_total{") && said;
  });
  expectSeries(text, WATCHDOG_SERIES);
  expect(readSamples(text)).toContainEqual({
    name: "http_requests_total",
    labels: { code: "200", method: "post" },
    value: 1,
  });
});
