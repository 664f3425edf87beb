import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { buildImage } from "../support/build-upload.ts";
import { signIn } from "../support/dashboard-gateway.ts";
import { eventually } from "../support/eventually.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const PATIENCE_MS = 45_000;
/** Takes its time where it is asked to, and has no stock until there is a file of it, which all of its replicas see. */
const handler = (stock: string) => `
  import { existsSync } from "node:fs";
  export default (req, res) => {
    const fails = req.url === "/order" && !existsSync(${JSON.stringify(stock)});
    res.statusCode = fails ? 422 : 200;
    setTimeout(() => res.end(fails ? "no stock" : "version " + (process.env.EDITION ?? "one")), req.url === "/slow" ? 2000 : 0);
  };`;
const SCALING = {
  "com.openfaas.scale.type": "capacity",
  "com.openfaas.scale.target": "1",
  "com.openfaas.scale.max": "3",
  "com.faaslane.scale.window": "6s",
};

describeNeeding(missingBrowser())("a tour of the dashboard", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;
  let browser: Browser;
  let password: string;
  let opened: WatchedPage;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const dataDir = join(folder.path, "data");
    const env = { sandbox: "off", retry_http_codes: "422", max_retry_attempts: "0" };
    platform = await Platform.start({ dataDir, cwd: folder.path, env });
    password = (await readFile(join(dataDir, "basic-auth-password"), "utf8")).trim();
    await buildImage(platform, "shop:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
      "index.mjs": handler(join(folder.path, "stock")),
    });
    browser = await openBrowser();
  }, 120_000);

  afterEach(async () => {
    expect(opened.faults).toEqual([]);
    await opened.close();
  });

  afterAll(async () => {
    await browser?.close();
    await platform?.stop();
    await folder?.remove();
  }, 60_000);

  async function open(): Promise<Page> {
    opened = await openPage(browser, platform.url);
    opened.page.setDefaultTimeout(PATIENCE_MS);
    await opened.page.goto(`${platform.url}/ui/`);
    return opened.page;
  }

  test("from signing in to signing out", async () => {
    const page = await open();
    const button = (name: string) => page.getByRole("button", { name, exact: true });
    const link = (name: string) => page.getByRole("link", { name, exact: true });
    const dialog = page.getByRole("dialog");
    await signIn(page, password);

    await link("Deploy").click();
    await page.getByLabel("Name", { exact: true }).fill("shop");
    await page.getByLabel("Image", { exact: true }).fill("shop:1");
    for (const [at, [name, value]] of Object.entries(SCALING).entries()) {
      await page.getByRole("button", { name: "Add to Labels" }).click();
      await page.getByLabel(`Labels: name ${at + 1}`).fill(name);
      await page.getByLabel(`Labels: value ${at + 1}`).fill(value);
    }
    await button("Deploy").click();
    await page.getByText("1 of 1 replicas can be called").waitFor();

    await link("Open shop").click();
    await link("Invoke").click();
    await button("Call").click();
    await page.getByRole("region", { name: "Answer" }).getByText("version one").waitFor();

    await link("Scaling").click();
    let isEnough = false;
    const callers = Array.from({ length: 6 }, async () => {
      while (!isEnough) await fetch(`${platform.url}/function/shop/slow`).then((answer) => answer.text());
    });
    await page
      .getByRole("cell", { name: /^1 → [23]$/ })
      .first()
      .waitFor();
    await link("Overview").first().click();
    await page
      .getByRole("row", { name: /shop/ })
      .getByText(/^([23]) of \1$/)
      .waitFor();
    isEnough = true;
    await Promise.all(callers);

    await link("shop").click();
    await link("Settings").click();
    await page.getByRole("button", { name: "Add to Environment" }).click();
    await page.getByLabel("Environment: name 1").fill("EDITION");
    await page.getByLabel("Environment: value 1").fill("two");
    await button("Review the changes").click();
    await dialog.getByRole("button", { name: "Change", exact: true }).click();
    await page.getByText("shop is deployed").waitFor();
    await link("Versions").click();
    await button("Split traffic").click();
    await dialog.getByRole("group", { name: "v1" }).getByLabel("Percent").fill("40");
    await dialog.getByRole("group", { name: "v2" }).getByLabel("Percent").fill("60");
    await dialog.getByRole("button", { name: "Split", exact: true }).click();
    await page.getByRole("row", { name: /^v2/ }).getByText("60 %").waitFor();
    await eventually("both answer", async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${platform.url}/function/shop`)));
      return new Set(await Promise.all(answers.map((answer) => answer.text()))).size === 2;
    });

    await button("Split traffic").click();
    await dialog.getByRole("group", { name: "v1" }).getByLabel("Percent").fill("0");
    await dialog.getByRole("group", { name: "v2" }).getByLabel("Percent").fill("100");
    await dialog.getByRole("button", { name: "Split", exact: true }).click();
    await page.getByRole("row", { name: /^v2/ }).getByText("100 %").waitFor();

    const annotations = { "com.faaslane.rollout": "canary", "com.faaslane.rollout.steps": "10@pause,100" };
    const third = { service: "shop", image: "shop:1", labels: SCALING, envVars: { EDITION: "three" }, annotations };
    const sent = await platform.control("/system/functions", { method: "PUT", body: JSON.stringify(third) });
    expect(sent.status).toBe(202);
    await page.getByRole("region", { name: "Rollout of v3" }).getByRole("button", { name: "Abort" }).click();
    await dialog.getByLabel("Reason").fill("prices are wrong");
    await dialog.getByRole("button", { name: "Abort", exact: true }).click();
    await page.getByRole("region", { name: "History" }).getByText("prices are wrong").waitFor();

    await fetch(`${platform.url}/async-function/shop/order`, { method: "POST", body: "7" });
    await link("Queue").click();
    const letters = page.getByRole("region", { name: "Dead letters" });
    await letters.getByRole("button", { name: "Replay" }).first().waitFor();
    await writeFile(join(folder.path, "stock"), "7");
    await letters.getByRole("button", { name: "Replay" }).first().click();
    await dialog.getByRole("button", { name: "Replay", exact: true }).click();
    await letters.waitFor({ state: "detached" });

    await page.getByRole("button", { name: /^Sign out/ }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  }, 180_000);

  /** Goes on with Tab until what has the focus is called that. */
  async function tabTo(page: Page, name: RegExp, backwards = false): Promise<void> {
    const seen: string[] = [];
    for (let at = 0; at < 120; at++) {
      const called = await page.evaluate<string>(
        `(() => { const at = document.activeElement; return (at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent).trim() })()`,
      );
      if (name.test(called)) return;
      seen.push(called.slice(0, 30));
      await page.keyboard.press(backwards ? "Shift+Tab" : "Tab");
    }
    throw new Error(`no Tab leads to ${name}, but to ${seen.join(", ")}`);
  }

  test("with the keyboard alone: deployed, called, rolled back", async () => {
    const page = await open();
    const { keyboard } = page;
    const go = async (name: RegExp) => {
      await tabTo(page, name);
      await keyboard.press("Enter");
    };
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await tabTo(page, /^Password$/);
    await keyboard.type(password);
    await keyboard.press("Enter");
    await page.getByRole("navigation", { name: "Places" }).waitFor();
    await go(/^Deploy$/);
    await page.getByRole("heading", { name: "Deploy a function" }).waitFor();
    await tabTo(page, /^Name$/);
    await keyboard.type("keys");
    await tabTo(page, /^Image$/);
    await keyboard.type("shop:1");
    await go(/^Deploy$/);
    await page.getByText("1 of 1 replicas can be called").waitFor();
    await go(/^Open keys$/);
    await go(/^Invoke$/);
    await page.getByRole("heading", { name: "Call", exact: true }).waitFor();
    await go(/^Call$/);
    await page.getByRole("region", { name: "Answer" }).getByText("version one").waitFor();
    await tabTo(page, /^Settings$/, true);
    await keyboard.press("Enter");
    await page.getByRole("button", { name: "Add to Environment" }).waitFor();
    await go(/^Add to Environment$/);
    await tabTo(page, /^Environment: name 1$/, true);
    await keyboard.type("EDITION");
    await keyboard.press("Tab");
    await keyboard.type("two");
    await go(/^Review the changes$/);
    await go(/^Change$/);
    await page.getByText("keys is deployed").waitFor();
    await tabTo(page, /^Versions$/, true);
    await keyboard.press("Enter");
    await page.getByRole("row", { name: /^v2/ }).getByText("100 %").waitFor();
    await go(/^Roll back to v1$/);
    await page.getByRole("dialog").waitFor();
    await tabTo(page, /^Reason$/);
    await keyboard.type("too new");
    await keyboard.press("Enter");
    await page.getByRole("row", { name: /^v1/ }).getByText("100 %").waitFor();
    await page.getByRole("region", { name: "History" }).getByText("too new").waitFor();
    // What had the focus has it again, and it can be seen.
    expect(await page.evaluate("document.activeElement.matches('button:focus-visible')")).toBe(true);
  }, 180_000);
});
