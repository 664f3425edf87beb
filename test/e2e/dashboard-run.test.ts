import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const PATIENCE_MS = 30_000;
/** Fails until it is told that its stock is there; a step of a flow takes longer than anybody waits. */
const HANDLER = `
  let isMended = false;
  export default (req, res) => {
    if (req.url === "/mend") isMended = true;
    if (req.headers["x-flow-step"] === "charge") return setTimeout(() => res.end("{}"), 600000).unref();
    const fails = req.url.startsWith("/order") && !isMended;
    res.statusCode = fails ? 422 : 200;
    res.end(fails ? "no stock" : "{}");
  };`;

describeNeeding(missingBrowser())("what runs, in the dashboard", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;
  let browser: Browser;
  let opened: WatchedPage;
  let page: Page;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const dataDir = join(folder.path, "data");
    platform = await Platform.start({
      dataDir,
      cwd: folder.path,
      env: { sandbox: "off", retry_http_codes: "422", max_retry_attempts: "0" },
    });
    await buildImage(platform, "shop:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
      "index.mjs": HANDLER,
    });
    const topic = { topic: "order.created" };
    await send("/system/functions", "POST", { service: "shop", image: "shop:1", annotations: topic });
    const steps = ["check", "charge"].map((name) => ({ name, function: "shop" }));
    await send("/system/flows/order", "PUT", { steps });
    const password = (await readFile(join(dataDir, "basic-auth-password"), "utf8")).trim();
    browser = await openBrowser();
    opened = await openPage(browser, platform.url);
    ({ page } = opened);
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${platform.url}/ui/`);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Places" }).waitFor();
  }, 120_000);

  beforeEach(() => void opened.faults.splice(0));

  afterAll(async () => {
    await opened?.close();
    await browser?.close();
    await platform?.stop();
    await folder?.remove();
  }, 60_000);

  async function send(path: string, method: string, body: unknown): Promise<void> {
    const answer = await platform.control(path, { method, body: JSON.stringify(body) });
    expect([path, answer.ok]).toEqual([path, true]);
  }

  const read = async (path: string) => (await platform.control(path)).json();
  const dialog = () => page.getByRole("dialog");
  const button = (name: string) => page.getByRole("button", { name, exact: true });

  test("dead letters of a function are looked into and all replayed, after they are counted", async () => {
    await eventually("it answers", async () => (await fetch(`${platform.url}/function/shop`)).ok, PATIENCE_MS);
    for (let n = 0; n < 3; n++) {
      const init = { method: "POST", body: `order ${n}`, headers: { "x-customer": "<b>7</b>" } };
      await fetch(`${platform.url}/async-function/shop/order`, init);
    }
    const letters = async () => ((await read("/system/queue/dead-letters")) as { items: unknown[] }).items.length;
    await eventually("all are dead", async () => (await letters()) === 3, PATIENCE_MS);
    await page.goto(`${platform.url}/ui/queue?function=shop&since=1h`);
    await page.getByRole("region", { name: "Dead letters" }).getByRole("link").first().click();
    await page.getByText(/^order \d$/).waitFor();
    await page.getByText("<b>7</b>").waitFor();
    await page.goBack();
    await fetch(`${platform.url}/function/shop/mend`);
    await button("Replay all that match").click();
    await dialog().getByRole("heading", { name: "Replay 3 dead letters" }).waitFor();
    await dialog().getByText("As a command").click();
    await dialog().getByText("faaslane queue dead-letters replay shop --since 1h").waitFor();
    await dialog().getByRole("button", { name: "Replay all" }).click();
    await page.getByText("3 calls were queued again.").waitFor();
    await page.getByText("No such call has failed for good.").waitFor();
    expect(opened.faults).toEqual([]);
  }, 120_000);

  test("events are replayed, but not before they were counted", async () => {
    const batch = [1, 2].map((id) => ({ specversion: "1.0", id: `${id}`, source: "/s", type: "order.created" }));
    const headers = { "content-type": "application/cloudevents-batch+json" };
    const sent = await fetch(`${platform.url}/broker/default`, {
      method: "POST",
      headers,
      body: JSON.stringify(batch),
    });
    expect(sent.status).toBe(202);
    const delivered = async () =>
      ((await read("/system/events?type=order.created&state=delivered")) as { items: unknown[] }).items.length;
    await eventually("both are delivered", async () => (await delivered()) === 2, PATIENCE_MS);
    await page.goto(`${platform.url}/ui/events?type=order.created`);
    await button("Replay all that match").click();
    expect(await dialog().getByRole("button", { name: "Replay events" }).isDisabled()).toBe(true);
    await dialog().getByRole("button", { name: "Count them" }).click();
    await dialog().getByText("function/openfaas-fn/shop: 2").waitFor();
    // Another selection has to be counted anew.
    await dialog().getByLabel("Source of events").fill("/other");
    expect(await dialog().getByRole("button", { name: "Replay events" }).isDisabled()).toBe(true);
    await dialog().getByLabel("Source of events").fill("");
    await dialog().getByLabel("Name", { exact: true }).fill("incident-7");
    await dialog().getByRole("button", { name: "Replay 2 events" }).click();
    await page.getByRole("heading", { name: "Replay incident-7" }).waitFor();
    await page.getByText("completed").waitFor();
    await page.getByText("2 of 2").waitFor();
    expect(opened.faults).toEqual([]);
  }, 120_000);

  test("a flow's run is started, looked at, and cancelled", async () => {
    await page.goto(`${platform.url}/ui/flows/order`);
    await button("Start a run").click();
    await dialog().getByLabel("Body").fill("{");
    expect(await dialog().getByRole("button", { name: "Start" }).isDisabled()).toBe(true);
    await dialog().getByLabel("Body").fill('{"order":7}');
    await dialog().getByRole("button", { name: "Start" }).click();
    const steps = page.getByRole("region", { name: "Steps" });
    await steps.getByRole("row").filter({ hasText: "check" }).getByText("done").waitFor();
    await steps.getByRole("row").filter({ hasText: "charge" }).getByText("running").waitFor();
    await page.getByText("Data of check").click();
    await page.getByText('{"order":7}').first().waitFor();
    await button("Cancel the run").click();
    await dialog().getByRole("button", { name: "Cancel the run" }).click();
    await page.getByRole("heading", { level: 1 }).getByText("cancelled").waitFor();
    expect(await button("Resume the run").isEnabled()).toBe(true);
    expect(opened.faults).toEqual([]);
  }, 120_000);

  test("what an object of a cluster declares is not changed here, and how it is changed is told", async () => {
    const order = { name: "order", namespace: "openfaas-fn", origin: "object", spec: { type: "webhook", steps: [] } };
    const status = { state: "idle", sent: 0, events: 0, errors: 0 };
    const trigger = { ...order, id: "trigger/openfaas-fn/order", subscriber: "function/openfaas-fn/a", open: 0 };
    const broker = { ...order, declared: true, path: "/broker/order", events: 0, bytes: 0, open: 0, dead: 0 };
    const answers = {
      brokers: [broker],
      sources: [{ ...order, status }],
      sinks: [{ ...order, status }],
      "triggers/order": trigger,
      "flows/order": { ...order, runs: {} },
    };
    const { page } = opened;
    for (const [path, body] of Object.entries(answers)) {
      await page.route(`**/system/${path}`, (route) => route.fulfill({ json: body }));
      await page.goto(`${platform.url}/ui/${path.startsWith("flows") ? "" : "events/"}${path}`);
      const kind = path.split("/")[0];
      await page.getByText(`kubectl edit ${kind}.openfaas.com order -n openfaas-fn`).waitFor();
      expect([path, await page.getByRole("button", { name: /^(Edit|Remove|Suspend|Resume)/ }).count()]).toEqual([
        path,
        0,
      ]);
      await page.unroute(`**/system/${path}`);
    }
    await page.goto(`${platform.url}/ui/flows`);
    expect(opened.faults).toEqual([]);
  }, 120_000);

  test("a rollout is aborted, with a reason that is kept", async () => {
    const annotations = {
      topic: "order.created",
      "com.faaslane.rollout": "canary",
      "com.faaslane.rollout.steps": "10@pause,100",
      "com.faaslane.rollout.gate": "errors<1%",
    };
    await send("/system/functions", "PUT", { service: "shop", image: "shop:1", envVars: { A: "1" }, annotations });
    await page.goto(`${platform.url}/ui/functions/openfaas-fn/shop/versions`);
    await page.getByText("10 % until somebody approves").waitFor();
    await page.getByRole("cell", { name: "errors < 1%" }).waitFor();
    await page.getByRole("region", { name: "Difference of v1 and v2" }).getByText("envVars.A").waitFor();
    await page.getByText("paused", { exact: false }).first().waitFor();
    await button("Abort").click();
    expect(await dialog().getByRole("button", { name: "Abort" }).isDisabled()).toBe(true);
    await dialog().getByLabel("Reason").fill("<i>prices</i> are wrong");
    await dialog().getByRole("button", { name: "Abort" }).click();
    await dialog().waitFor({ state: "detached" });
    await page.getByRole("region", { name: "History" }).getByText("<i>prices</i> are wrong").waitFor();
    await page.getByRole("row").filter({ hasText: "v1" }).getByText("100 %").first().waitFor();
    expect(opened.faults).toEqual([]);
  }, 120_000);
});
