import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page, Route } from "playwright-core";
import type { UiSession } from "../../contract/ui/session.ts";
import { openBrowser } from "../support/browser.ts";
import { DashboardGateway } from "../support/dashboard-gateway.ts";
import { freePort } from "../support/free-port.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";

const INVOKE = "/ui/functions/openfaas-fn/echo/invoke";
const MINUTE = 60_000;

describeNeeding(missingBrowser())("the dashboard, when something of the platform is away", () => {
  let browser: Browser;
  const gateways: DashboardGateway[] = [];

  beforeAll(async () => {
    browser = await openBrowser();
  }, 60_000);
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) await gateway.close();
  }, 30_000);
  afterAll(async () => await browser?.close(), 30_000);

  async function open(env: Readonly<Record<string, string>> = {}): Promise<DashboardGateway> {
    const gateway = await DashboardGateway.open(browser, env);
    gateways.push(gateway);
    await gateway.deploy("echo", (_req, res) => res.end("answered"));
    gateway.gateway.provider.respond = (_request, res) =>
      res.writeHead(200, { "content-type": "application/json" }).end("[]");
    return gateway;
  }

  /** Changes what the page is told of its session. */
  async function tell(page: Page, change: (said: UiSession) => UiSession): Promise<void> {
    await page.route("**/ui/api/session", async (route: Route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: change((await answer.json()) as UiSession) });
    });
  }

  test("a gateway that is replaced: it is told of, nothing that was entered is lost, and all goes on", async () => {
    const port = String(await freePort());
    const before = await open({ port });
    const { page } = await before.signedIn(INVOKE);
    await page.getByLabel("Body", { exact: true }).fill("kept");
    await before.gateway.close();
    await page.getByText("The gateway does not answer").waitFor();
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("the gateway cannot be reached").waitFor();
    await open({ port });
    await page.getByText("The gateway does not answer").waitFor({ state: "detached" });
    expect(await page.getByLabel("Body", { exact: true }).inputValue()).toBe("kept");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("answered").waitFor();
  }, 60_000);

  test("a page that is opened while the gateway is away shows it, and opens by itself", async () => {
    const gateway = await open();
    const { page } = await gateway.page();
    let isAway = true;
    await page.route("**/ui/api/session", (route) => (isAway ? route.abort() : route.continue()));
    await page.goto(`${gateway.url}/ui/`);
    await page.getByText("the gateway cannot be reached").waitFor();
    isAway = false;
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  }, 60_000);

  test("a provider that is away: the page says so, and functions are called all the same", async () => {
    const gateway = await open();
    const { page } = await gateway.signedIn("/ui/platform");
    gateway.gateway.provider.streams = false;
    gateway.gateway.provider.cutStreams();
    await page
      .getByRole("row", { name: /provider/ })
      .getByText("Away")
      .waitFor();
    await page.goto(`${gateway.url}${INVOKE}`);
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("answered").waitFor();
    gateway.gateway.provider.respond = (_request, res) => res.writeHead(503).end("away");
    await page.getByRole("link", { name: "Secrets" }).click();
    await page.getByRole("alert").waitFor();
  }, 60_000);

  test("no queue and no events: their screens say so, and nothing fails", async () => {
    const gateway = await open({ queue: "none", events: "none" });
    const { page, faults } = await gateway.signedIn("/ui/queue");
    await page.getByText("queue=none").first().waitFor();
    await page.getByRole("link", { name: "Events", exact: true }).first().click();
    await page.getByText("events=none").first().waitFor();
    await page.getByRole("link", { name: "Platform" }).click();
    await page.getByRole("row", { name: /queue/ }).getByText("Off").waitFor();
    expect(faults).toEqual([]);
  }, 60_000);

  test("a gateway with a newer page: it is loaded when somebody wants it", async () => {
    const gateway = await open();
    const { page } = await gateway.signedIn(INVOKE);
    await page.getByLabel("Body", { exact: true }).fill("kept");
    await tell(page, (said) => ({ ...said, build: "page-ANOTHER.js" }));
    // It asks when the gateway was away.
    await page.context().setOffline(true);
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("the gateway cannot be reached").waitFor();
    await page.context().setOffline(false);
    await page.evaluate("dispatchEvent(new Event('focus'))");
    await page.getByText("The gateway has a newer page").waitFor();
    expect(await page.getByLabel("Body", { exact: true }).inputValue()).toBe("kept");
    await page.unroute("**/ui/api/session");
    await page.getByRole("button", { name: "Load it" }).click();
    await page.getByText("The gateway has a newer page").waitFor({ state: "detached" });
  }, 60_000);

  test("a session that ends soon is told of, and goes on when somebody says so", async () => {
    const gateway = await open();
    const { page } = await gateway.signedIn();
    let left = MINUTE;
    await tell(page, (said) => ({ ...said, idleEndsAt: said.now + left }));
    await page.evaluate("dispatchEvent(new Event('focus'))");
    await page.getByText("Your session ends at").waitFor();
    left = 60 * MINUTE;
    await page.getByRole("button", { name: "Stay signed in" }).click();
    await page.getByText("Your session ends at").waitFor({ state: "detached" });
  }, 60_000);

  test.each([
    ["a day behind", -24 * 60],
    ["a day ahead", 24 * 60],
  ])(
    "a browser whose clock is %s: ages are those of the gateway, and the session goes on",
    async (_what, minutes) => {
      const gateway = await open();
      const { page } = await gateway.page();
      await page.clock.install({ time: Date.now() + minutes * MINUTE });
      gateway.gateway.provider.respond = ({ url }, res) => {
        const status = {
          name: "echo",
          namespace: "openfaas-fn",
          image: "a",
          createdAt: new Date(Date.now() - 5 * MINUTE),
        };
        const isOne = url.startsWith("/system/function/");
        res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(isOne ? status : []));
      };
      await page.goto(`${gateway.url}/ui/functions/openfaas-fn/echo`);
      await page.getByLabel("Password").fill("let me in");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page
        .getByText(/^5 ?m(in)?\.? ago$/)
        .first()
        .waitFor();
      await page.clock.runFor(5_000);
      expect(await page.getByText("Your session ends").count()).toBe(0);
      expect(await page.getByText("Sign in again").count()).toBe(0);
    },
    60_000,
  );
});
