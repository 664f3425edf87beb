import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser, openPage, type WatchedPage, watchStreams } from "../support/browser.ts";
import { buildImage } from "../support/build-upload.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";
import { faultsOfSizes, WIDE, ZOOMED } from "../support/page-fit.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const PATIENCE_MS = 30_000;
const NAMESPACE = "openfaas-fn";
/** Says what somebody who means harm would have shown. */
const HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe \u001b[31m";
/** Answers with what it got, as a page if asked for one; one that has script of its own, too. */
const HANDLER = `
  export default (req, res) => {
    console.log(${JSON.stringify(HOSTILE)});
    if (req.url.startsWith("/attack")) {
      res.setHeader("content-type", "text/html");
      return res.end("<script>window.tried = Promise.all(['/system/functions', '/ui/api/session'].map((path) =>" +
        " fetch(path).then((answer) => answer.status, (error) => String(error))));" +
        " window.seen = (() => { try { return sessionStorage.length + document.cookie } catch (error) { return error.name } })()</script>");
    }
    res.setHeader("content-type", "text/plain");
    let body = "";
    req.on("data", (piece) => { body += piece; }).on("end", () => res.end(req.method + " " + body + " " + (req.headers.cookie ?? "no cookie")));
  };`;

describeNeeding(missingBrowser())("the dashboard", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;
  let browser: Browser;
  let password: string;
  let opened: WatchedPage | undefined;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const dataDir = join(folder.path, "data");
    platform = await Platform.start({ dataDir, cwd: folder.path, env: { sandbox: "off", ui_store: "own" } });
    password = (await readFile(join(dataDir, "basic-auth-password"), "utf8")).trim();
    await buildImage(platform, "echo:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
      "index.mjs": HANDLER,
    });
    const body = JSON.stringify({
      service: "echo",
      image: "echo:1",
      labels: { team: "<b>ops</b>" },
      envVars: { KEY: "hidden" },
      annotations: { topic: "order.created" },
    });
    const answer = await platform.control("/system/functions", { method: "POST", body });
    expect(answer.status).toBe(202);
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

  async function open(path: string, options: Parameters<typeof openPage>[2] = {}): Promise<Page> {
    opened = await openPage(browser, platform.url, options);
    opened.page.setDefaultTimeout(PATIENCE_MS);
    await opened.page.goto(platform.url + path);
    return opened.page;
  }

  async function signIn(page: Page): Promise<void> {
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Places" }).waitFor();
  }

  const faults = () => opened?.faults;
  /** A wrong password is an answer that the console tells of. */
  const besides401 = () => opened?.faults.filter((fault) => !fault.includes("401"));

  test("is signed in to, shows functions, calls one, and is signed out of", async () => {
    const page = await open("/ui/");
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("user or password is wrong").waitFor();
    await signIn(page);
    await page.getByRole("link", { name: "echo" }).click();
    expect(new URL(page.url()).pathname).toBe(`/ui/functions/${NAMESPACE}/echo`);
    await page.getByRole("heading", { name: "Definition" }).waitFor();
    await page.getByText("<b>ops</b>").waitFor();
    expect(await page.getByText("hidden", { exact: true }).count()).toBe(0);
    await page.getByRole("button", { name: "Show values" }).click();
    await page.getByText("hidden", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Invoke" }).click();
    await page.getByLabel("Body").fill("hello");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("POST hello no cookie").waitFor();
    await page.getByRole("link", { name: "Logs" }).click();
    // What it wrote is text: nothing of it has run, turned around or coloured anything.
    await page.getByText("<img src=x onerror=alert(1)>�gnp.exe").first().waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "Call", exact: true }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Call", exact: true }).waitFor();
    await page.getByRole("button", { name: "Sign out admin" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(besides401()).toEqual([]);
  }, 120_000);

  test("traffic is split and a version rolled back, with what is asked for", async () => {
    const annotations = { topic: "order.created" };
    const again = JSON.stringify({ service: "echo", image: "echo:1", annotations, envVars: { KEY: "other" } });
    expect((await platform.control("/system/functions", { method: "PUT", body: again })).status).toBe(202);
    const page = await open(`/ui/functions/${NAMESPACE}/echo/versions`);
    await signIn(page);
    await page.getByRole("cell", { name: "v2", exact: true }).waitFor();
    await page.getByRole("button", { name: "Split traffic" }).click();
    const dialog = page.getByRole("dialog");
    const percents = dialog.getByLabel("Percent");
    await percents.nth(0).fill("60");
    await percents.nth(1).fill("30");
    await dialog.getByText("the percentages add up to 90, not to 100").waitFor();
    expect(await dialog.getByRole("button", { name: "Split" }).isDisabled()).toBe(true);
    await percents.nth(1).fill("40");
    await dialog.getByRole("button", { name: "Split" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("cell", { name: "60 %" }).waitFor();
    await page.keyboard.press("Escape");
    expect(faults()).toEqual([]);
  }, 120_000);

  test("an event is found, with what became of it", async () => {
    const headers = {
      "ce-specversion": "1.0",
      "ce-id": "a",
      "ce-source": HOSTILE.slice(0, 4),
      "ce-type": "order.created",
    };
    const sent = await fetch(`${platform.url}/broker/default`, { method: "POST", headers, body: "{}" });
    expect(sent.status).toBe(202);
    const page = await open("/ui/events?type=order.created");
    await signIn(page);
    await page.getByRole("link", { name: "order.created" }).click();
    await page.getByText(`function/${NAMESPACE}/echo: matched.`).waitFor();
    await page.getByRole("cell", { name: "delivered" }).waitFor();
    expect(faults()).toEqual([]);
  }, 120_000);

  test("a call is found among the latest, and opens to where its time went and what it wrote", async () => {
    const page = await open(`/ui/functions/${NAMESPACE}/echo/calls`);
    await signIn(page);
    await page.getByText("Calls are kept since").waitFor();
    const id = "a-call-of-mine";
    const headers = { "x-call-id": id, authorization: "Bearer hidden-word", "x-team": HOSTILE.slice(0, 28) };
    await (await fetch(`${platform.url}/function/echo/find/me?secret=1`, { headers })).text();
    const row = page.getByRole("row").filter({ hasText: "/find/me" });
    await row.getByText("200").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("Paused: newer calls are not shown.").waitFor();
    await row.getByRole("link").focus();
    await page.keyboard.press("Enter");
    await page.getByRole("img", { name: /^Phases of the call: Waited for a replica .* ms/ }).waitFor();
    await page.getByText("<img src=x onerror=alert(1)>", { exact: true }).waitFor();
    await page.getByRole("log").getByText("<img src=x onerror=alert(1)>").first().waitFor();
    expect(await page.getByText(/hidden-word|secret=1/).count()).toBe(0);
    expect(new URL(page.url()).search).toContain("call=");
    await page.getByRole("link", { name: "All calls" }).click();
    await page.getByRole("button", { name: "Errors" }).click();
    expect(new URL(page.url()).search).toBe("?preset=errors");
    expect(faults()).toEqual([]);
  }, 120_000);

  test("is used with the keyboard alone", async () => {
    const page = await open("/ui/");
    await page.getByLabel("Password").focus();
    await page.keyboard.type(password);
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "echo" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Scale" }).waitFor();
    await page.getByRole("button", { name: "Scale" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    // The focus goes back to where it was.
    await page.waitForFunction("document.activeElement.textContent === 'Scale'");
    expect(faults()).toEqual([]);
  }, 120_000);

  test("a function's own page can use nothing of it", async () => {
    const page = await open("/ui/");
    await signIn(page);
    await page.goto(`${platform.url}/function/echo/attack`);
    expect(await page.evaluate("window.seen")).toBe("SecurityError");
    expect(await page.evaluate("window.tried")).toEqual(["TypeError: Failed to fetch", "TypeError: Failed to fetch"]);
    await page.goBack();
    await page.getByRole("link", { name: "echo" }).waitFor();
  }, 120_000);

  test("each tab has a session and a stream of its own, where functions could hear what tabs tell each other", async () => {
    const first = await open("/ui/");
    const streams = watchStreams(first);
    await signIn(first);
    const second = await first.context().newPage();
    second.setDefaultTimeout(PATIENCE_MS);
    const others = watchStreams(second);
    await second.goto(`${platform.url}/ui/`);
    await signIn(second);
    await second.getByRole("link", { name: "echo" }).waitFor();
    expect([streams.size, others.size]).toEqual([1, 1]);
    expect(faults()).toEqual([]);
  }, 120_000);

  test("a gateway that restarts is told of, and then all goes on", async () => {
    const page = await open("/ui/");
    await signIn(page);
    await page.getByRole("link", { name: "echo" }).waitFor();
    await page.route("**/ui/api/stream*", (route) => route.abort());
    await page.evaluate("location.reload()");
    await page.getByText("The gateway does not answer").waitFor();
    await page.unroute("**/ui/api/stream*");
    await page.getByRole("link", { name: "echo" }).waitFor();
    await page.getByText("The gateway does not answer").waitFor({ state: "detached" });
  }, 120_000);

  const SCREENS = [
    "/",
    `/functions/${NAMESPACE}/echo`,
    "/queue",
    "/events",
    "/events/1",
    "/secrets",
    "/deploy",
    "/deploy/store?function=hello",
    "/deploy/upload",
    `/namespaces/${NAMESPACE}`,
    "/platform",
    "/queue/unknown",
    "/flows",
    "/flows/unknown",
    "/nowhere",
  ].concat(
    ["brokers", "triggers", "triggers/unknown", "sources", "sinks", "replays"].map((area) => `/events/${area}`),
    [
      "calls",
      "calls?preset=errors",
      "calls?call=unknown",
      "events",
      "metrics",
      "logs",
      "invoke",
      "scaling",
      "versions",
      "settings",
    ].map((tab) => `/functions/${NAMESPACE}/echo/${tab}`),
  );

  test.each(["light", "dark"] as const)(
    "no screen has a barrier in the %s theme, and each fits a small one, at 200 and 400 %%, in the order in which it is read",
    async (colorScheme) => {
      const page = await open("/ui/", { colorScheme, reducedMotion: "reduce" });
      expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => id)).toEqual([]);
      await signIn(page);
      const titles: string[] = [];
      for (const path of SCREENS) {
        await page.setViewportSize(WIDE);
        await page.goto(`${platform.url}/ui${path}`);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.getByText("Loading…").first().waitFor({ state: "detached" });
        const axe = new AxeBuilder({ page });
        // Themes differ in nothing but colours.
        if (colorScheme === "dark") axe.withRules(["color-contrast"]);
        else axe.withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]);
        const { violations } = await axe.analyze();
        expect([path, violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 120)}`)]).toEqual([path, []]);
        // Colours need no room.
        if (colorScheme === "light") expect([path, await faultsOfSizes(page, [WIDE, ...ZOOMED])]).toEqual([path, []]);
        titles.push(await page.title());
      }
      expect(titles.filter((title) => !/^.+ – faaslane$/.test(title))).toEqual([]);
      // Only the presets of calls, and what is not there, have the title of another.
      expect(new Set(titles).size).toBeGreaterThan(SCREENS.length - 6);
      // What is not there is an answer that the console tells of.
      expect(faults()?.filter((fault) => !fault.includes("status of 404"))).toEqual([]);
    },
    240_000,
  );
});
