import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { openBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";
import { faultsOfSizes, WIDE, ZOOMED } from "../support/page-fit.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const PATIENCE_MS = 30_000;
/** Those that are not there, and nothing to show of them. */
const EMPTY_SCREENS = [
  "/queue",
  "/events",
  "/events/triggers",
  "/events/replays",
  "/flows",
  "/flows/order",
  "/platform",
];
/** Buttons that ask before something is done. */
const OPENS =
  /^(Replay|Drop|Cancel|Remove|Edit|Suspend|Declare|Start|Split|Roll back|Approve|Abort|Create|Change|Scale)/;
/** Fails for all that is sent to it. */
const HANDLER = "export default (req, res) => { res.statusCode = 422; res.end('no <b>stock</b>'); };";

describeNeeding(missingBrowser())("screens of what runs", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform | undefined;
  let browser: Browser;
  let opened: WatchedPage | undefined;

  beforeAll(async () => {
    browser = await openBrowser();
  }, 60_000);

  afterEach(async () => {
    await opened?.close();
    await platform?.stop();
    await folder?.remove();
    opened = undefined;
    platform = undefined;
  }, 60_000);

  afterAll(async () => await browser?.close());

  async function start(env: Readonly<Record<string, string>>): Promise<Platform> {
    folder = await temporaryFolder();
    const dataDir = join(folder.path, "data");
    platform = await Platform.start({ dataDir, cwd: folder.path, env: { sandbox: "off", ...env } });
    return platform;
  }

  async function signIn(running: Platform, options: BrowserContextOptions): Promise<Page> {
    const password = (await readFile(join(folder.path, "data/basic-auth-password"), "utf8")).trim();
    opened = await openPage(browser, running.url, options);
    const { page } = opened;
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${running.url}/ui/`);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Places" }).waitFor();
    return page;
  }

  /** Something of everything. @returns addresses of the screens that show it */
  async function fill(running: Platform): Promise<string[]> {
    const send = async (path: string, method: string, body: unknown) => {
      const answer = await running.control(path, { method, body: JSON.stringify(body) });
      const text = await answer.text();
      expect([path, answer.status < 300, text.slice(0, 200)]).toEqual([path, true, text.slice(0, 200)]);
      return text;
    };
    await buildImage(running, "shop:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
      "index.mjs": HANDLER,
    });
    const annotations = {
      topic: "order.>",
      "com.faaslane.rollout": "canary",
      "com.faaslane.rollout.steps": "10@pause,100",
    };
    const shop = { service: "shop", image: "shop:1", annotations };
    await send("/system/functions", "POST", shop);
    await eventually(
      "it answers",
      async () => (await fetch(`${running.url}/function/shop`)).status === 422,
      PATIENCE_MS,
    );
    await send("/system/functions", "PUT", { ...shop, envVars: { A: "1" } });
    await fetch(`${running.url}/async-function/shop`, { method: "POST", body: "now" });
    await fetch(`${running.url}/async-function/shop`, { method: "POST", body: "later", headers: { "x-delay": "1h" } });
    const headers = { "ce-specversion": "1.0", "ce-id": "<i>1</i>", "ce-source": "/shop", "ce-type": "order.placed" };
    await fetch(`${running.url}/broker/default`, { method: "POST", headers, body: "{}" });
    await send("/system/triggers/audit", "PUT", {
      filters: [{ cesql: "EXISTS subject" }],
      subscriber: { function: "shop" },
    });
    await send("/system/sources/poll", "PUT", { type: "http-poll", url: "http://127.0.0.1:9/", interval: "1s" });
    await send("/system/sinks/partner", "PUT", { type: "webhook", url: "https://partner.example/hooks" });
    await send("/system/flows/order", "PUT", { steps: [{ name: "check", function: "shop" }, { wait: "1h" }] });
    const { id: run } = JSON.parse(await send("/system/flows/order/runs", "POST", {})) as { id: string };
    await send("/system/replays", "POST", { name: "incident-7", type: "order.placed", to: "shop" });
    const first = async (path: string) =>
      ((await (await running.control(path)).json()) as { items: { id: string; ref: string }[] }).items[0];
    const letter = await eventually("it is dead", () => first("/system/queue/dead-letters"), PATIENCE_MS);
    const event = await eventually("it has been sent", () => first("/system/events?type=order.placed"), PATIENCE_MS);
    return [
      ...["/queue", `/queue/${letter.id}`, "/events", `/events/${event.ref}`, "/events/brokers", "/events/triggers"],
      ...["/events/triggers/function%2Fopenfaas-fn%2Fshop", "/events/sources", "/events/sinks", "/events/replays"],
      ...["/events/replays/incident-7", "/flows", "/flows/order", `/flows/order/${run}`, "/platform"],
      ...["events", "scaling?w.target=1", "versions"].map((tab) => `/functions/openfaas-fn/shop/${tab}`),
    ];
  }

  async function show(page: Page, running: Platform, path: string): Promise<void> {
    await page.goto(`${running.url}/ui${path}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.getByText("Loading…").first().waitFor({ state: "detached" });
  }

  /** Goes through the page by Tab alone. @returns what it has come to, in words; it ends where it began */
  async function tabThrough(page: Page): Promise<string[]> {
    const at = `((it) => it === document.body ? "" :
      (it.tagName + " " + (it.ariaLabel || it.textContent || it.id).slice(0, 40) + (it.matches(":focus-visible") ? "" : " unseen")))(document.activeElement)`;
    const seen: string[] = [];
    for (let n = 0; n < 400; n++) {
      await page.keyboard.press("Tab");
      const words = await page.evaluate<string>(at);
      if (words === "" || (words === seen[0] && seen.length > 3)) return seen;
      seen.push(words);
    }
    return seen;
  }

  test("at 400 % each dialog fits, is left with Escape, and gives the focus back; Tab comes to all and is not trapped", async () => {
    const running = await start({ retry_http_codes: "422", max_retry_attempts: "0" });
    const paths = [...(await fill(running)), "/secrets", "/namespaces", "/functions/openfaas-fn/shop"];
    const page = await signIn(running, { reducedMotion: "reduce" });
    let dialogs = 0;
    for (const path of paths) {
      await page.setViewportSize(ZOOMED[1]);
      await show(page, running, path);
      const stops = await tabThrough(page);
      const count = await page.evaluate<number>(
        `[...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter((it) => it.checkVisibility()).length`,
      );
      expect([path, stops.length < 400, stops.length >= count - 2]).toEqual([path, true, true]);
      expect([path, stops.filter((words) => words.endsWith(" unseen"))]).toEqual([path, []]);
      const names = await page.getByRole("button", { name: OPENS, disabled: false }).allTextContents();
      for (const name of new Set(names)) {
        const opener = page.getByRole("button", { name, exact: true, disabled: false }).first();
        await opener.focus();
        await page.keyboard.press("Enter");
        const dialog = page.getByRole("dialog");
        await dialog.waitFor();
        expect([path, name, await faultsOfSizes(page, [ZOOMED[1]])]).toEqual([path, name, []]);
        await page.keyboard.press("Escape");
        await dialog.waitFor({ state: "detached" });
        await eventually(
          `${path}: the focus is at ${name}`,
          () => page.evaluate<boolean>(`document.activeElement.textContent === ${JSON.stringify(name)}`),
          PATIENCE_MS,
        );
        dialogs++;
      }
    }
    expect(dialogs).toBeGreaterThan(20);
    expect(opened?.faults).toEqual([]);
  }, 600_000);

  test.each(["light", "dark"] as const)(
    "none has a barrier in the %s theme, and each fits a small one",
    async (colorScheme) => {
      const running = await start({ retry_http_codes: "422", max_retry_attempts: "0" });
      const paths = await fill(running);
      const page = await signIn(running, { colorScheme, reducedMotion: "reduce" });
      for (const path of paths) {
        await page.setViewportSize(WIDE);
        await show(page, running, path);
        const { violations } = await new AxeBuilder({ page })
          .withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"])
          .analyze();
        expect([path, violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 120)}`)]).toEqual([path, []]);
        expect([path, await faultsOfSizes(page, [WIDE, ...ZOOMED])]).toEqual([path, []]);
      }
      expect(opened?.faults).toEqual([]);
    },
    300_000,
  );

  test("where the dashboard only looks, all that changes something says why it cannot be used", async () => {
    const running = await start({ ui_read_only: "true", retry_http_codes: "422", max_retry_attempts: "0" });
    const page = await signIn(running, {});
    let seen = 0;
    for (const path of await fill(running)) {
      await show(page, running, path);
      const words =
        /^(Replay|Drop|Cancel|Remove|Edit|Suspend|Resume|Declare|Start|Split|Roll back|Approve|Pause|Promote|Abort|Forget|Send)/;
      const acts = await page.getByRole("button", { name: words }).all();
      for (const act of acts) {
        const found = [path, await act.textContent(), await act.isDisabled(), await act.getAttribute("title")];
        expect(found).toEqual([path, found[1], true, "This page changes nothing (ui_read_only)"]);
        seen++;
      }
    }
    expect(seen).toBeGreaterThan(30);
    expect(opened?.faults).toEqual([]);
  }, 300_000);

  test("where there is no queue and no events, their screens say so, and the rest works", async () => {
    const running = await start({ queue: "none", events: "none" });
    const page = await signIn(running, {});
    for (const path of EMPTY_SCREENS) {
      await show(page, running, path);
      if (path === "/platform") await page.getByRole("region", { name: "Gateways" }).waitFor();
      else await page.getByText(/This gateway has no|this gateway has no/).waitFor();
    }
    expect(opened?.faults).toEqual([]);
  }, 300_000);
});
