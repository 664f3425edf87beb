import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const PATIENCE_MS = 60_000;
const HANDLER = `module.exports = async (event, context) =>
  context.status(200).headers({ "content-type": "text/plain" }).succeed(event.method + " " + event.path + " " + process.env.GREETING);`;

describeNeeding(missingBrowser())("deploying by the dashboard", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;
  let browser: Browser;
  let password: string;
  let opened: WatchedPage | undefined;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const dataDir = join(folder.path, "data");
    await mkdir(join(folder.path, "greeter/node_modules/left-out"), { recursive: true });
    await writeFile(join(folder.path, "greeter/handler.js"), HANDLER);
    await writeFile(join(folder.path, "greeter/node_modules/left-out/index.js"), "");
    platform = await Platform.start({ dataDir, cwd: folder.path, env: { sandbox: "off", ui_store: "own" } });
    password = (await readFile(join(dataDir, "basic-auth-password"), "utf8")).trim();
    browser = await openBrowser();
  }, 120_000);

  afterEach(async () => {
    await opened?.close();
    opened = undefined;
  });

  afterAll(async () => {
    await browser?.close();
    await platform?.stop();
    await folder?.remove();
  }, 60_000);

  async function open(path: string): Promise<Page> {
    opened = await openPage(browser, platform.url);
    const { page } = opened;
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(platform.url + path);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await page.getByRole("navigation", { name: "Places" }).waitFor();
    return page;
  }

  /** What the platform refuses is an answer that the console tells of. */
  const faults = () => opened?.faults.filter((fault) => !fault.includes("status of 400"));

  const deployed = async (name: string) => {
    const answer = await platform.control(`/system/function/${name}`);
    return answer.status === 404 ? undefined : ((await answer.json()) as Record<string, unknown>);
  };

  test("a folder is uploaded, built and deployed; a setting is changed, and it is called and removed", async () => {
    const page = await open("/ui/deploy/upload");
    await page.getByLabel("A folder").setInputFiles(join(folder.path, "greeter"));
    await page.getByText("greeter: 2 files").waitFor();
    // Seen by the files.
    await page.locator("option:checked", { hasText: /^node$/ }).waitFor({ state: "attached" });
    await page.getByLabel("Memory at most").fill("lots");
    await page.getByRole("button", { name: "Build and deploy" }).click();
    // The refusal is told at its field, which has the focus.
    await page.getByText('"lots" is not a quantity').first().waitFor();
    const focused = "document.activeElement.labels?.[0].textContent";
    await page.waitForFunction(`${focused} === "Memory at most"`);
    await page.getByLabel("Memory at most").fill("256Mi");
    await page.getByRole("button", { name: "Build and deploy" }).click();
    await page.getByText("1 of 1 replicas can be called").waitFor();
    await page.getByText("1 left out").waitFor();

    await page.getByRole("link", { name: "Open greeter" }).click();
    await page.getByRole("link", { name: "Settings", exact: true }).click();
    await page.getByRole("button", { name: "Add to Environment" }).click();
    await page.getByLabel("Environment: name 1").fill("GREETING");
    await page.getByLabel("Environment: value 1").fill("good day");
    await page.getByRole("button", { name: "Review the changes" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    expect(await dialog.getByRole("rowheader").allTextContents()).toEqual(["envVars.GREETING"]);
    expect(await dialog.getByText("good day").count()).toBe(0);
    await dialog.getByRole("button", { name: "Change", exact: true }).click();
    await page.getByText("greeter is deployed").waitFor();
    // Of what was there nothing is lost.
    expect(await deployed("greeter")).toMatchObject({ envVars: { GREETING: "good day" }, limits: { memory: "256Mi" } });

    await page.getByRole("link", { name: "Invoke", exact: true }).click();
    await page.getByLabel("Method").selectOption("PUT");
    await page.getByLabel("Path", { exact: true }).fill("/users");
    const answer = page.getByRole("region", { name: "Answer" });
    // Until the new version has taken over, the old one answers.
    await callUntil(page, "PUT /users good day");
    await page.getByLabel("Asynchronously").check();
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await answer.getByText("✓ done").waitFor();
    await answer.getByText("POST /users good day").waitFor();

    await page.getByRole("link", { name: "Settings", exact: true }).click();
    await page.getByRole("button", { name: "Remove", exact: true }).last().click();
    await dialog.getByRole("button", { name: "Remove greeter" }).click();
    await page.getByRole("heading", { level: 1, name: "greeter" }).waitFor({ state: "detached" });
    expect(await deployed("greeter")).toBeUndefined();
    expect(faults()).toEqual([]);
  }, 180_000);

  async function callUntil(page: Page, text: string): Promise<void> {
    const answer = page.getByRole("region", { name: "Answer" });
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
      await page.getByRole("button", { name: "Call", exact: true }).click();
      await answer.getByText("its headers after").waitFor();
      if ((await answer.getByText(text).count()) > 0) return;
    }
    throw new Error(`it never answered ${text}`);
  }

  test("a function of the store is built and deployed by the keyboard alone; namespaces come and go", async () => {
    const page = await open("/ui/deploy/store?q=upper");
    const press = async (role: "link" | "button", name: string) => {
      await page.getByRole(role, { name, exact: true }).focus();
      await page.keyboard.press("Enter");
    };
    await press("link", "shout");
    await press("button", "Build and deploy");
    await page.getByText("replicas can be called").waitFor();
    expect((await deployed("shout"))?.image).toBe("shout:latest");

    await press("link", "Namespaces");
    await press("button", "Create a namespace");
    await page.getByLabel("Name", { exact: true }).fill("staging");
    await page.getByRole("button", { name: "Add to Labels" }).click();
    await page.getByLabel("Labels: name 1").fill("team");
    await page.getByLabel("Labels: value 1").fill("<b>ops</b>");
    await press("button", "Create");
    await page.getByText("<b>ops</b>", { exact: true }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/ui/namespaces/staging");
    await press("button", "Remove staging");
    await page.getByRole("dialog").getByRole("button", { name: "Remove staging" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "staging" }).waitFor({ state: "detached" });
    expect(await (await platform.control("/system/namespaces")).json()).toEqual(["openfaas-fn"]);
    expect(faults()).toEqual([]);
  }, 180_000);
});
