import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser, openPage, watchStreams } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const PATIENCE_MS = 30_000;

describeNeeding(missingBrowser())("tabs of the dashboard", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;
  let browser: Browser;
  let password: string;
  let ownPort: number;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const dataDir = join(folder.path, "data");
    ownPort = await freePort();
    platform = await Platform.start({ dataDir, cwd: folder.path, env: { sandbox: "off", ui_port: String(ownPort) } });
    password = (await readFile(join(dataDir, "basic-auth-password"), "utf8")).trim();
    browser = await openBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await platform?.stop();
    await folder?.remove();
  }, 60_000);

  /** The page shows what a stream has told. */
  const knowsFunctions = async (page: Page): Promise<void> => {
    await page.getByRole("heading", { level: 1 }).waitFor({ timeout: PATIENCE_MS });
    await page.getByText("Loading…").waitFor({ state: "detached", timeout: PATIENCE_MS });
  };

  const signIn = async (page: Page): Promise<void> => {
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Places" }).waitFor({ timeout: PATIENCE_MS });
  };

  test("share a session and a stream at an origin of their own, and go on when the one that reads is closed", async () => {
    const origin = `http://127.0.0.1:${ownPort}`;
    const opened = await openPage(browser, origin);
    const first = opened.page;
    const firstStreams = watchStreams(first);
    await first.goto(`${origin}/ui/`);
    await signIn(first);
    await knowsFunctions(first);
    const second = await first.context().newPage();
    const secondStreams = watchStreams(second);
    await second.goto(`${origin}/ui/`);
    // Nobody has signed in here, and what is shown has come from the other tab.
    await knowsFunctions(second);
    expect([firstStreams.size, secondStreams.size]).toEqual([1, 0]);
    await first.close();
    await eventually("the second tab reads", () => secondStreams.size === 1, PATIENCE_MS);
    expect(opened.faults).toEqual([]);
    await opened.close();
  }, 120_000);
});
