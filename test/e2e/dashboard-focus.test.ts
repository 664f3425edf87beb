import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser } from "../support/browser.ts";
import { DashboardGateway, PASSWORD } from "../support/dashboard-gateway.ts";
import { eventually } from "../support/eventually.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";

const PATIENCE_MS = 20_000;

describeNeeding(missingBrowser())("where the focus of the dashboard is", () => {
  let browser: Browser;
  let gateway: DashboardGateway;
  /** Names that the provider knows. */
  let secrets: string[] = [];
  let changes = 0;
  /** Let go to have what changes something answered. */
  let held = Promise.resolve();

  beforeAll(async () => {
    browser = await openBrowser();
    gateway = await DashboardGateway.open(browser);
    await gateway.deploy("echo", (_req, res) => res.end("ok"));
    gateway.gateway.provider.respond = async ({ method, url, body }, res) => {
      if (method === "GET") {
        res.writeHead(200, { "content-type": "application/json" });
        const names = url.startsWith("/system/secrets") ? secrets : [];
        return res.end(JSON.stringify(names.map((name) => ({ name, namespace: "openfaas-fn" }))));
      }
      changes++;
      await held;
      const { name } = JSON.parse(body) as { name: string };
      secrets = method === "DELETE" ? secrets.filter((each) => each !== name) : [...secrets, name];
      return res.writeHead(202).end();
    };
  }, 60_000);

  afterEach(async () => await gateway?.closePages());
  afterAll(async () => {
    await gateway?.close();
    await browser?.close();
  }, 30_000);

  /** By an expression of `document.activeElement`, as `it`. */
  const comesTo = (page: Page, what: string, expression: string) =>
    eventually(what, () => page.evaluate<boolean>(`((it) => ${expression})(document.activeElement)`), PATIENCE_MS);
  const isAt = (page: Page, words: string) =>
    comesTo(page, `the focus is at ${words}`, `it.textContent === ${JSON.stringify(words)}`);
  const isAtHeading = (page: Page, words: string) =>
    comesTo(page, `the focus is at the heading ${words}`, `it.tagName + it.textContent === "H1${words}"`);

  test("at the heading of the screen that has come, by a link, Back and Forward, and after signing in", async () => {
    const { page, faults } = await gateway.signedIn("/ui/");
    await isAtHeading(page, "Functions");
    const places = page.getByRole("navigation", { name: "Places" });
    for (const place of ["Queue", "Events", "Flows", "Secrets", "Namespaces", "Platform"]) {
      await places.getByRole("link", { name: place }).focus();
      await page.keyboard.press("Enter");
      await isAtHeading(page, place);
    }
    await page.goBack();
    await isAtHeading(page, "Namespaces");
    await page.goForward();
    await isAtHeading(page, "Platform");
    await page.keyboard.press("Shift+Tab");
    await page.goBack();
    // Who begins at the top comes to the content at once.
    await page.locator(".skip").focus();
    await page.keyboard.press("Enter");
    await isAtHeading(page, "Namespaces");
    await page.getByRole("button", { name: "Sign out admin" }).click();
    await isAtHeading(page, "Sign in");
    expect(faults).toEqual([]);
  }, 60_000);

  test("on the button that works, which is pressed but once, and then where it came from", async () => {
    secrets = ["one"];
    changes = 0;
    const { page, faults } = await gateway.page();
    let release = () => {};
    const hold = () => {
      held = new Promise((resolve) => {
        release = resolve;
      });
    };
    hold();
    let signIns = 0;
    await page.route("**/ui/api/session", async (route) => {
      if (route.request().method() !== "POST") return route.continue();
      signIns++;
      await held;
      return route.continue();
    });
    await page.goto(`${gateway.url}/ui/secrets`);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in" }).focus();
    await page.keyboard.press("Enter");
    await isAt(page, "Signing in…");
    await page.keyboard.press("Enter");
    await page.getByLabel("Password").press("Enter");
    release();
    await page.getByRole("button", { name: "Create a secret" }).waitFor();
    expect(signIns).toBe(1);
    hold();
    await page.getByRole("button", { name: "Create a secret" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    // It can be come to, and says why it does nothing.
    await dialog.getByRole("button", { name: "Create" }).focus();
    await page.keyboard.press("Enter");
    expect(await dialog.getByRole("button", { name: "Create" }).getAttribute("title")).toMatch(/missing or wrong/);
    await dialog.getByLabel("Name").fill("two");
    await dialog.getByLabel("Value", { exact: true }).fill("x");
    await page.keyboard.press("Enter");
    await dialog.getByRole("button", { name: "Working…" }).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Space");
    await isAt(page, "Working…");
    release();
    await dialog.waitFor({ state: "detached" });
    await isAt(page, "Create a secret");
    expect([changes, faults]).toEqual([1, []]);
  }, 60_000);

  test("on the same button of the next row, when the row is removed, then of the last one, then on what is next", async () => {
    secrets = ["one", "two", "three"];
    held = Promise.resolve();
    const { page, faults } = await gateway.signedIn("/ui/secrets");
    const remove = async (name: string) => {
      const row = page.getByRole("row").filter({ has: page.getByRole("cell", { name, exact: true }) });
      await row.getByRole("button", { name: "Remove" }).click();
      await page
        .getByRole("dialog")
        .getByRole("button", { name: `Remove ${name}` })
        .click();
      await row.waitFor({ state: "detached" });
    };
    const isAtRow = (name: string) =>
      comesTo(
        page,
        `the focus is in the row ${name}`,
        `it.closest("tr")?.textContent === "${name}Change Remove" && it.textContent === "Remove"`,
      );
    await remove("two");
    await isAtRow("three");
    await remove("three");
    await isAtRow("one");
    await remove("one");
    await page.getByText("There are no secrets").waitFor();
    await isAt(page, "Create a secret");
    // What somebody has left himself is not gone back to.
    await page.mouse.click(5, 5);
    expect(await page.evaluate("document.activeElement.tagName")).toBe("BODY");
    expect(faults).toEqual([]);
  }, 60_000);
});
