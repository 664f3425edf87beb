import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser } from "../support/browser.ts";
import { DashboardGateway, PASSWORD, signIn } from "../support/dashboard-gateway.ts";
import { freePort } from "../support/free-port.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";

const INVOKE = "/ui/functions/openfaas-fn/echo/invoke";

describeNeeding(missingBrowser())("who may go on in the dashboard", () => {
  let browser: Browser;
  const gateways: DashboardGateway[] = [];

  beforeAll(async () => {
    browser = await openBrowser();
  }, 60_000);
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) await gateway.close();
  }, 30_000);
  afterAll(async () => await browser?.close(), 30_000);

  async function open(env: Readonly<Record<string, string>> = {}, password = PASSWORD): Promise<DashboardGateway> {
    const gateway = await DashboardGateway.open(browser, env, password);
    gateways.push(gateway);
    await gateway.deploy("echo", (req, res) => res.end(`cookies: ${req.headers.cookie ?? "none"}`));
    gateway.gateway.provider.respond = (_request, res) =>
      res.writeHead(200, { "content-type": "application/json" }).end("[]");
    return gateway;
  }

  const again = (page: Page) => page.getByRole("dialog", { name: "Sign in again" });

  /** What was entered is there still, once somebody has signed in again. */
  async function goesOn(page: Page, entered: string, password = PASSWORD): Promise<void> {
    await again(page).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await again(page).getByLabel("Password").fill(password);
    await again(page).getByRole("button", { name: "Sign in" }).click();
    await again(page).waitFor({ state: "detached" });
    expect(await page.getByLabel("Body", { exact: true }).inputValue()).toBe(entered);
  }

  test("who does nothing for long", async () => {
    const gateway = await open({ ui_session_idle: "4s" });
    const { page } = await gateway.signedIn(INVOKE);
    await page.getByLabel("Body", { exact: true }).fill("kept");
    await goesOn(page, "kept");
  }, 60_000);

  test("who goes on after the longest time, though something is done all the while", async () => {
    const gateway = await open({ ui_session_max: "4s" });
    const { page } = await gateway.signedIn(INVOKE);
    await page.getByLabel("Body", { exact: true }).fill("kept");
    const moves = setInterval(() => void page.mouse.wheel(0, 1).catch(() => {}), 300);
    try {
      await goesOn(page, "kept");
    } finally {
      clearInterval(moves);
    }
  }, 60_000);

  test("who has signed in with a password that is none any more", async () => {
    const port = String(await freePort());
    const before = await open({ port });
    const { page } = await before.signedIn(INVOKE);
    await page.getByLabel("Body", { exact: true }).fill("kept");
    await before.gateway.close();
    const after = await open({ port }, "another");
    await goesOn(page, "kept", "another");
    await page.context().close();
    expect(after.url).toBe(before.url);
  }, 60_000);

  test("who has signed out in another tab leaves nothing in this one, nor in one that was put aside", async () => {
    const gateway = await open();
    const { page } = await gateway.signedIn(INVOKE);
    const aside = await page.context().newPage();
    await aside.goto(gateway.url + INVOKE);
    await signIn(aside);
    for (const tab of [page, aside]) {
      await tab.getByLabel("Path").fill("/private");
      await tab.getByRole("button", { name: "Call", exact: true }).click();
      await tab.getByRole("button", { name: "POST /private" }).waitFor();
    }
    await aside.goto("about:blank");
    await page.getByLabel("Body", { exact: true }).fill("entered");
    const other = await page.context().newPage();
    await other.goto(gateway.url + INVOKE);
    await signIn(other);
    // The first tab is in still: they share a session.
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("cookies: none").waitFor();
    await other.getByRole("button", { name: "Sign out admin" }).click();
    await page.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    await aside.goBack();
    await aside.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    for (const tab of [page, aside]) {
      expect(await tab.getByText("/private").count()).toBe(0);
      expect(
        await tab.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('faaslane-calls'))"),
      ).toEqual([]);
      await signIn(tab);
      await tab.getByText("None yet.").waitFor();
      expect(await tab.getByLabel("Body", { exact: true }).inputValue()).toBe("");
      await tab.getByRole("heading", { name: "echo" }).waitFor();
    }
  }, 60_000);

  test("who guesses", async () => {
    const gateway = await open();
    const { page } = await gateway.page();
    await page.goto(`${gateway.url}/ui/`);
    const alert = page.getByRole("alert");
    for (let at = 0; at < 12 && !(await alert.getByText("too many wrong passwords").isVisible()); at++) {
      await page.getByLabel("Password").fill(`guess ${at}`);
      const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
      await page.getByRole("button", { name: "Sign in" }).click();
      await answered;
      await alert.waitFor();
    }
    await alert.getByText("too many wrong passwords").waitFor();
    // Who knows the password is not to be locked out by others.
    await signIn(page);
  }, 60_000);

  test("who only may look", async () => {
    const gateway = await open({ ui_read_only: "true" });
    const { page } = await gateway.signedIn("/ui/secrets");
    await page.getByText("This page changes nothing").waitFor();
    expect(await page.getByRole("button", { name: "Create a secret" }).isDisabled()).toBe(true);
    const status = await page.evaluate(`fetch("/system/secrets", { method: "POST", body: "{}", headers: {
      "content-type": "application/json", "x-faaslane-session": sessionStorage.getItem("faaslane-session") } })
      .then((answer) => answer.status)`);
    expect(status).toBe(403);
  }, 60_000);

  test("who comes where there is no dashboard", async () => {
    const gateway = await open({ ui: "off" });
    for (const path of ["/ui/", "/ui/api/session", "/ui/assets/page.js"]) {
      const answer = await fetch(gateway.url + path, { headers: { accept: "text/html" } });
      expect([path, answer.status, (await answer.text()).includes("<script")]).toEqual([path, 401, false]);
    }
  }, 60_000);

  test("who comes by a function, where the dashboard has a port of its own", async () => {
    const port = await freePort();
    const gateway = await open({ ui_port: String(port), ui_bind_address: "127.0.0.1" });
    const site = `http://127.0.0.1:${port}`;
    const { page } = await gateway.signedIn("/ui/", site);
    const tab = await page.context().newPage();
    await tab.goto(`${site}/ui/`);
    await tab.getByRole("navigation", { name: "Places" }).waitFor();
    // Another tab needs no password, and the first one goes on.
    await page.reload();
    await page.getByRole("navigation", { name: "Places" }).waitFor();
    // No function answers there, and none elsewhere can ask.
    expect((await fetch(`${site}/function/echo`)).status).toBe(404);
    expect((await fetch(`${gateway.url}/ui/`, { headers: { accept: "text/html" } })).status).toBe(401);
    const other = await page.context().newPage();
    await other.goto(`${gateway.url}/function/echo`);
    await other.getByText("cookies: none").waitFor();
    const asked = other.waitForResponse((answer) => answer.url().startsWith(site));
    await other.evaluate(
      `fetch("${site}/ui/api/session", { credentials: "include", mode: "no-cors" }).catch(() => {})`,
    );
    expect((await asked).status()).toBe(403);
    await tab.getByRole("button", { name: /^Sign out/ }).click();
    await page.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
  }, 60_000);

  test("who comes to another address than that of the dashboard's port", async () => {
    const port = await freePort();
    const gateway = await open({ ui_port: String(port), ui_bind_address: "127.0.0.2" });
    const { page } = await gateway.page({}, `http://127.0.0.2:${port}`);
    await page.goto(`http://127.0.0.2:${port}/ui/`);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await expect(fetch(`http://127.0.0.1:${port}/ui/`)).rejects.toThrow("fetch failed");
  }, 60_000);
});
