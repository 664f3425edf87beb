import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { readSamples } from "../compat/series.ts";
import { EXPRESSIONS } from "../support/boards.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { missingFrom, readExpression } from "../support/promql.ts";

/* Boards and alerts ask for nothing that a real run does not export. */

const WAIT_MS = 60_000;

const scrape = async (url: string) => await (await fetch(`${url}/metrics`)).text();

type Labels = Map<string, Set<string>>;

function addExported(exported: Labels, text: string): Labels {
  for (const { name, labels } of readSamples(text)) {
    const known = exported.get(name) ?? new Set();
    for (const label of Object.keys(labels)) known.add(label);
    exported.set(name, known);
  }
  return exported;
}

const needsNats = (expression: string) =>
  readExpression(expression).selectors.some(({ metric }) => metric.includes("_nats_"));

describe("a platform that has been called, has failed and has slept", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;
  let exported: Labels;
  const rows = EXPRESSIONS.filter(({ expression }) => !needsNats(expression));

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await Platform.start({
      dataDir: join(folder.path, "data"),
      env: {
        log_level: "info",
        access_log: join(folder.path, "calls.log"),
        max_retry_attempts: "0",
        // Nobody is there, so that spans are lost.
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
        OTEL_BSP_SCHEDULE_DELAY: "100",
      },
    });
    const env = { mode: "classic", fprocess: "cat" };
    await buildImage(platform, "drawn:1", { "faaslane.json": JSON.stringify({ env }) });
    await buildImage(platform, "broken:1", { "faaslane.json": JSON.stringify({ env: { ...env, fprocess: "false" } }) });
    for (const service of ["drawn", "broken"]) {
      const body = JSON.stringify({ service, image: `${service}:1` });
      expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
    }
    const call = async (path: string, init: RequestInit = {}) => {
      const answer = await fetch(`${platform.url}${path}`, { method: "POST", body: "x", ...init });
      await answer.arrayBuffer();
      return answer.status;
    };
    await eventually("drawn answers", async () => (await call("/function/drawn")) === 200, WAIT_MS, 50);
    const none = JSON.stringify({ serviceName: "drawn", replicas: 0 });
    await platform.control("/system/scale-function/drawn", { method: "POST", body: none });
    expect(await call("/function/drawn")).toBe(200);
    const headers = { "x-callback-url": "http://127.0.0.1:1/" };
    expect(await call("/async-function/drawn", { headers })).toBe(202);
    expect(await call("/async-function/broken")).toBe(202);
    const declare = async (path: string, spec: object) =>
      expect((await platform.control(path, { method: "PUT", body: JSON.stringify(spec) })).status).toBe(201);
    await declare("/system/triggers/broken", { subscriber: { function: "broken" }, delivery: { retry: 0 } });
    await declare("/system/sources/clock", { type: "cron", schedule: "0 0 1 1 *" });
    await declare("/system/flows/drawn", { steps: [{ function: "drawn" }] });
    await platform.control("/system/flows/drawn/runs", { method: "POST", body: "{}" });
    const event = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/boards", "ce-type": "drawn" };
    expect(await call("/broker/default", { headers: event })).toBe(202);
    exported = new Map();
    await eventually(
      "everything that boards ask for has been told",
      async () => {
        await call("/function/drawn"); // what is idle tells less
        for (const url of [platform.metricsUrl, `http://127.0.0.1:${platform.providerPort}`]) {
          addExported(exported, await scrape(url));
        }
        return rows.every(({ expression }) => missingFrom(exported, expression).length === 0);
      },
      WAIT_MS,
      200,
    ).catch(() => {}); // the tests below say what is missing
  }, 240_000);

  afterAll(async () => {
    await platform?.stop();
    await folder?.remove();
  });

  test.each(rows.map(({ where, expression }) => [where, expression] as const))("%s: %s", (_where, expression) => {
    expect(missingFrom(exported, expression)).toEqual([]);
  });
});

describeWithNats("a gateway with its queue on NATS", () => {
  let nats: NatsServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let provider: FakeProvider;
  let gateway: Awaited<ReturnType<typeof openGateway>>;

  beforeAll(async () => {
    nats = await NatsServer.start();
    folder = await temporaryFolder();
    provider = await FakeProvider.open();
    const config = loadGatewayConfig({
      port: "0",
      metrics_port: "0",
      functions_provider_url: provider.url.href,
      data_dir: folder.path,
      nats_url: `nats://${nats.address}`,
    });
    gateway = await openGateway(config, { user: "admin", password: "secret" }, createLogger("silent"));
  }, 60_000);

  afterAll(async () => {
    await gateway?.close();
    await provider?.close();
    await nats?.stop();
    await folder?.remove();
  });

  const rows = EXPRESSIONS.filter(({ expression }) => needsNats(expression));

  test("is asked for by alerts", () => expect(rows.length).toBeGreaterThan(1));

  test.each(rows.map(({ where, expression }) => [where, expression] as const))(
    "%s: %s",
    async (_where, expression) => {
      await eventually(
        "the queue tells of itself",
        async () => missingFrom(addExported(new Map(), await scrape(gateway.metricsUrl)), expression).length === 0,
        WAIT_MS,
        100,
      );
    },
    90_000,
  );
});
