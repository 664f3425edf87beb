/** `npm run docs:screenshots`: pictures of the dashboard for docs/dashboard.md, of a platform that runs for them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openBrowser, openPage } from "../support/browser.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";
import { SteadyLoad } from "../support/steady-load.ts";

const HANDLER = `
  let calls = 0;
  export default (req, res) => {
    res.statusCode = ++calls % 50 === 0 ? 500 : 200;
    console.log(res.statusCode === 200 ? "order taken" : "error: the stock is not known");
    setTimeout(() => res.end(), 5 + Math.random() * 20);
  };`;
const FUNCTIONS = ["orders", "payments", "thumbnails", "mails"];
const PICTURES = [
  { path: "/ui/", file: "dashboard-overview.png", scheme: "light" },
  { path: "/ui/functions/openfaas-fn/orders", file: "dashboard-function.png", scheme: "light" },
  { path: "/ui/functions/openfaas-fn/orders/scaling", file: "dashboard-scaling.png", scheme: "dark" },
  { path: "/ui/functions/openfaas-fn/orders/versions", file: "dashboard-versions.png", scheme: "light" },
  { path: "/ui/events", file: "dashboard-events.png", scheme: "dark" },
] as const;
/** Long enough for a line of fifteen minutes to have a beginning. */
const WARM_UP_MS = 75_000;

const folder = await temporaryFolder();
const dataDir = join(folder.path, "data");
const platform = await Platform.start({ dataDir, cwd: folder.path, env: { sandbox: "off" } });
const loads: SteadyLoad[] = [];
try {
  await buildImage(platform, "shop:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": HANDLER,
  });
  for (const service of FUNCTIONS) {
    const body = { service, image: "shop:1", labels: { team: "shop" }, annotations: { topic: `${service}.>` } };
    await platform.control("/system/functions", { method: "POST", body: JSON.stringify(body) });
    await eventually(`${service} answers`, async () => (await fetch(`${platform.url}/function/${service}`)).ok, 60_000);
  }
  const again = { service: "orders", image: "shop:1", labels: { team: "shop" }, envVars: { STOCK: "on" } };
  await platform.control("/system/functions", { method: "PUT", body: JSON.stringify(again) });
  for (const [at, service] of FUNCTIONS.entries()) {
    loads.push(new SteadyLoad(`${platform.url}/function/${service}`, 60 / (at + 1)));
  }
  for (let id = 0; id < 12; id++) {
    const [service = ""] = [FUNCTIONS[id % FUNCTIONS.length]];
    const headers = {
      "ce-specversion": "1.0",
      "ce-id": `${id}`,
      "ce-source": "/shop",
      "ce-type": `${service}.created`,
    };
    await fetch(`${platform.url}/broker/default`, { method: "POST", headers, body: "{}" });
  }
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  const password = (await readFile(join(dataDir, "basic-auth-password"), "utf8")).trim();
  const browser = await openBrowser();
  for (const { path, file, scheme } of PICTURES) {
    const { page, close } = await openPage(browser, platform.url, {
      colorScheme: scheme,
      viewport: { width: 1120, height: 640 },
    });
    await page.goto(platform.url + path);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.waitForTimeout(4_000);
    await page.screenshot({ path: join(ROOT, "docs/img", file) });
    await close();
  }
  await browser.close();
} finally {
  for (const load of loads) await load.stop();
  await platform.stop();
  await folder.remove();
}
