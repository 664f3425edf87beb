import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { SteadyLoad } from "../support/steady-load.ts";

const PATIENCE_MS = 60_000;
const HANDLER = `
  let calls = 0;
  export default (req, res) => {
    const isBad = req.url.startsWith("/fail") || ++calls % 60 === 0;
    res.statusCode = isBad ? 422 : 200;
    console.log(isBad ? "error: the stock is not known" : "order " + calls + " taken");
    res.setHeader("content-type", "application/json");
    setTimeout(() => res.end(JSON.stringify({ order: calls, state: isBad ? "no stock" : "taken" })), 5 + Math.random() * 20);
  };`;
const FUNCTIONS = ["orders", "payments", "thumbnails", "mails"];

/** A platform with something to see on each screen. */
export interface Shop {
  readonly platform: Platform;
  readonly password: string;
  close(): Promise<void>;
}

export async function openShop(): Promise<Shop> {
  const folder = await temporaryFolder();
  const dataDir = join(folder.path, "data");
  const env = { sandbox: "off", retry_http_codes: "422", max_retry_attempts: "1", ui_store: "own" };
  const platform = await Platform.start({ dataDir, cwd: folder.path, env });
  const loads: SteadyLoad[] = [];
  const close = async () => {
    for (const load of loads) await load.stop();
    await platform.stop();
    await folder.remove();
  };
  try {
    await fill(platform);
    for (const [at, service] of FUNCTIONS.entries()) {
      loads.push(new SteadyLoad(`${platform.url}/function/${service}`, 40 / (at + 1)));
    }
    const password = (await readFile(join(dataDir, "basic-auth-password"), "utf8")).trim();
    return { platform, password, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function fill(platform: Platform): Promise<void> {
  const send = async (method: string, path: string, body: unknown) => {
    const answer = await platform.control(path, { method, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
  await buildImage(platform, "shop:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": HANDLER,
  });
  await buildImage(platform, "broken:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": "throw new Error('no database at db:5432');",
  });
  await send("POST", "/system/namespace/", { name: "staging", annotations: { owner: "shop" } });
  for (const name of ["stripe-key", "smtp-password"]) await send("POST", "/system/secrets", { name, value: "secret" });
  for (const service of FUNCTIONS) {
    await send("POST", "/system/functions", {
      service,
      image: "shop:1",
      labels: { team: "shop" },
      envVars: { LOG_LEVEL: "info" },
      annotations: { topic: `${service}.created` },
      ...(service === "payments" && { secrets: ["stripe-key"] }),
    });
    await eventually(
      `${service} answers`,
      async () => (await fetch(`${platform.url}/function/${service}`)).ok,
      PATIENCE_MS,
    );
  }
  await send("POST", "/system/functions", { service: "reports", image: "broken:1", labels: { team: "finance" } });
  await send("POST", "/system/functions", {
    service: "invoices",
    image: "shop:1",
    namespace: "staging",
    labels: { team: "finance", "com.openfaas.scale.zero": "true", "com.openfaas.scale.min": "0" },
  });
  const second = { service: "orders", image: "shop:1", labels: { team: "shop" } };
  const topic = { topic: "orders.created" };
  await send("PUT", "/system/functions", {
    ...second,
    envVars: { LOG_LEVEL: "info", STOCK: "on" },
    annotations: topic,
  });
  const rollout = { "com.faaslane.rollout": "canary", "com.faaslane.rollout.steps": "10@pause,50@5m,100" };
  const annotations = { ...topic, ...rollout };
  await send("PUT", "/system/functions", { ...second, envVars: { LOG_LEVEL: "debug", STOCK: "on" }, annotations });
  await send("PUT", "/system/flows/checkout", {
    steps: [
      { name: "reserve", function: "orders" },
      { name: "charge", function: "payments" },
      { name: "mail", function: "mails" },
    ],
  });
  for (let id = 0; id < 12; id++) {
    const service = FUNCTIONS[id % FUNCTIONS.length];
    const attributes = { "ce-specversion": "1.0", "ce-id": `${id}`, "ce-source": "/shop" };
    const headers = { ...attributes, "ce-type": `${service}.created`, "content-type": "application/json" };
    await fetch(`${platform.url}/broker/default`, { method: "POST", headers, body: '{"order":7}' });
  }
  for (let n = 0; n < 4; n++) {
    await fetch(`${platform.url}/async-function/mails/fail`, { method: "POST", body: `{"to":"customer-${n}"}` });
  }
  for (let n = 0; n < 2; n++) await send("POST", "/system/flows/checkout/runs", { order: n });
}
