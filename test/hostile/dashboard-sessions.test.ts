import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { type Browser, chromium, type Page } from "playwright-core";
import { CHROMIUM, openBrowser, openPage } from "../support/browser.ts";
import { DashboardGateway, openSite, PASSWORD, type Site, signIn } from "../support/dashboard-gateway.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";

/** What a page of a function tries with a session that is not its own; `window.stolen` says what came of it. */
const ATTACK = `
  const token = (() => { try { return sessionStorage.getItem("faaslane-session"); } catch { return null; } })();
  const ask = (path) => fetch(path, { headers: token ? { "x-faaslane-session": token } : {} })
    .then((answer) => answer.status, () => "refused");
  window.stolen = Promise.all([token ?? "no token", ask("/system/info"), ask("/ui/api/session")]);`;
const NOTHING = ["no token", "refused", "refused"];

/** Shows the dashboard in a frame of its page. */
const FRAME = `
  const frame = document.createElement("iframe");
  frame.src = "GATEWAY/ui/";
  frame.onload = () => { window.loaded = true; };
  document.documentElement.append(frame);`;

const html = (res: ServerResponse, script: string, headers: Record<string, string> = {}) =>
  res.writeHead(200, { "content-type": "text/html", ...headers }).end(`<title>ours</title><script>${script}</script>`);

describeNeeding(missingBrowser())("sessions of the dashboard", () => {
  let browser: Browser;
  let shared: DashboardGateway;
  let elsewhere: Site;

  beforeAll(async () => {
    browser = await openBrowser();
    shared = await DashboardGateway.open(browser);
    await shared.deploy("attack", (req, res) => {
      if (req.url === "/cached") return html(res, ATTACK, { "cache-control": "max-age=3600" });
      if (req.url === "/listed") return html(res, `onpageshow = () => { ${ATTACK} }`);
      if (req.url === "/worker.js") {
        const worker = `onfetch = (event) => event.respondWith(new Response(${JSON.stringify(`<title>ours</title><script>${ATTACK}</script>`)}, { headers: { "content-type": "text/html" } }))`;
        return res.writeHead(200, { "content-type": "text/javascript", "service-worker-allowed": "/" }).end(worker);
      }
      if (req.url?.startsWith("/register")) {
        const scope = req.url.endsWith("all") ? "/" : "/function/attack/";
        return html(
          res,
          `window.registered = navigator.serviceWorker.register("/function/attack/worker.js", { scope: "${scope}" })
            .then(() => navigator.serviceWorker.ready).then(() => "registered", (error) => error.name)`,
        );
      }
      if (req.url === "/toss") {
        res.setHeader("set-cookie", [
          "fl_session=x; Path=/; HttpOnly",
          "fl_session=x; Path=/ui",
          "__Host-fl_session=x; Path=/; Secure",
        ]);
        return html(res, "");
      }
      if (req.url === "/script")
        return html(res, `document.cookie = "fl_session=x; path=/"; document.cookie = "fl_session=x; path=/ui/";`);
      if (req.url === "/frame") return html(res, FRAME.replace("GATEWAY", ""));
      return html(res, ATTACK);
    });
    elsewhere = await openSite((req, res) =>
      html(res, `onload = () => { ${decodeURIComponent((req.url as string).slice(1))} }`),
    );
  }, 60_000);
  afterEach(async () => await shared?.closePages());
  afterAll(async () => {
    await shared?.close();
    await elsewhere?.close();
    await browser?.close();
  }, 30_000);

  const stolen = async (page: Page) => await page.evaluate("window.stolen");
  /** A page of another site, that runs this. */
  const foreign = (script: string) =>
    `${elsewhere.url.replace("127.0.0.1", "localhost")}/${encodeURIComponent(script)}`;

  test("a page of a function in the tab that has signed in", async () => {
    const { page } = await shared.signedIn();
    await page.goto(`${shared.url}/function/attack/`);
    expect(await stolen(page)).toEqual(NOTHING);
  });

  test.each([
    ["a link", (url: string) => `location.href = "${url}"`],
    [
      "a form",
      (url: string) =>
        `document.body.innerHTML = '<form method=post action="${url}"></form>'; document.forms[0].submit()`,
    ],
  ])("a page of a function, come to by %s of another site", async (_what, go) => {
    const { page } = await shared.signedIn();
    const url = `${shared.url}/function/attack/`;
    await page.goto(foreign(go(url)));
    await page.waitForURL(url);
    expect(await stolen(page)).toEqual(NOTHING);
  });

  test("a page of a function that the browser has kept from before", async () => {
    const { page } = await shared.page();
    await page.goto(`${shared.url}/function/attack/cached`);
    await page.goto(`${shared.url}/ui/`);
    await signIn(page);
    await page.evaluate(`location.href = "/function/attack/cached"`);
    await page.waitForURL("**/cached");
    expect(await stolen(page)).toEqual(NOTHING);
  });

  test("a page of a function to which the browser goes back", async () => {
    const { page } = await shared.page();
    await page.goto(`${shared.url}/function/attack/listed`);
    await page.goto(`${shared.url}/ui/`);
    await signIn(page);
    await page.goBack();
    await page.waitForURL("**/listed");
    expect(await stolen(page)).toEqual(NOTHING);
  });

  test("a page of a function that waits in the history as it was left", async () => {
    // Playwright has browsers forget such pages.
    const remembering = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
    try {
      const { page } = await openPage(remembering, shared.url);
      await page.goto(`${shared.url}/function/attack/listed`);
      await page.goto(`${shared.url}/ui/`);
      await signIn(page);
      await page.evaluate("history.back()").catch(() => undefined);
      await page.waitForURL("**/listed");
      expect(await stolen(page)).toEqual(NOTHING);
    } finally {
      await remembering.close();
    }
  });

  test.each(["all", "own"])(
    "a worker of a function that would answer in the place of the gateway: %s",
    async (scope) => {
      const { page } = await shared.page();
      await page.goto(`${shared.url}/function/attack/register-${scope}`);
      expect(await page.evaluate("window.registered")).not.toBe("registered");
      await page.goto(`${shared.url}/ui/`);
      await signIn(page);
      await page.goto(`${shared.url}/function/attack/`);
      expect(await stolen(page)).toEqual(NOTHING);
    },
  );

  test("a page of a function that was open before somebody signed in, in another tab", async () => {
    const { page } = await shared.page();
    await page.goto(`${shared.url}/function/attack/`);
    const tab = await page.context().newPage();
    await tab.goto(`${shared.url}/ui/`);
    await signIn(tab);
    // It has the cookie, as all of the origin, but no token; the dashboard's window is out of its reach.
    expect(
      await page.evaluate(`fetch("/ui/api/session").then((answer) => answer.json()).then(({ state }) => state)`),
    ).toBe("signedOut");
    const [popup] = await Promise.all([
      page.context().waitForEvent("page"),
      page.evaluate(`window.popup = window.open("/ui/"), undefined`),
    ]);
    await popup.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await page.evaluate("window.popup.closed")).toBe(true);
  });

  test.each([
    ["by a function's answer", "toss"],
    ["by a function's script", "script"],
  ])("a cookie that is to take the session's place, set %s", async (_what, path) => {
    const { page } = await shared.signedIn();
    const tab = await page.context().newPage();
    await page.context().clearCookies({ name: "fl_session_near" });
    await tab.goto(`${shared.url}/function/attack/${path}`);
    await page.reload();
    await page.getByRole("navigation", { name: "Places" }).waitFor();
  });

  test("a session that somebody else knows before it is signed in to", async () => {
    const known = "fl_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const body = JSON.stringify({ user: "admin", password: PASSWORD });
    const headers = { "content-type": "application/json", cookie: known };
    const answer = await fetch(`${shared.url}/ui/api/session`, { method: "POST", headers, body });
    const { token } = (await answer.json()) as { token: string };
    const check = async (cookie: string) =>
      (await fetch(`${shared.url}/system/info`, { headers: { cookie, "x-faaslane-session": token } })).status;
    expect(await check(known)).toBe(401);
    // Both are there: who tosses one does not shut anybody out.
    expect(await check(`${known}; ${answer.headers.getSetCookie()[0]?.split(";")[0]}`)).toBe(200);
  });

  test.each([
    ["another site", (site: Site) => site.url.replace("127.0.0.1", "localhost")],
    ["another port", (site: Site) => site.url],
  ])("requests of a page of %s", async (_what, of) => {
    const { page } = await shared.signedIn();
    await page.goto(`${of(elsewhere)}/`);
    const answers: number[] = [];
    page.on("response", (answer) => answers.push(answer.status()));
    await page.evaluate(`Promise.all([
      ["POST", "/ui/api/session"], ["DELETE", "/ui/api/session"], ["GET", "/ui/api/session"], ["POST", "/system/functions"],
    ].map(([method, path]) => fetch("${shared.url}" + path, {
      method, mode: method === "DELETE" ? "cors" : "no-cors", credentials: "include",
      ...(method === "POST" && { body: '{"user":"admin","password":"x"}' }),
    }).catch(() => {})))`);
    // That of DELETE is asked for before, and never sent.
    expect(answers).toEqual([403, 403, 403]);
    await page.goto(`${shared.url}/ui/`);
    await page.getByRole("navigation", { name: "Places" }).waitFor();
  });

  test.each([
    ["a function's page", (_site: Site) => `${shared.url}/function/attack/frame`],
    [
      "another site",
      (site: Site) =>
        `${site.url.replace("127.0.0.1", "localhost")}/${encodeURIComponent(FRAME.replace("GATEWAY", shared.url))}`,
    ],
  ])("the dashboard in a frame of %s", async (_what, from) => {
    const { page } = await shared.page();
    await page.goto(from(elsewhere));
    await page.waitForFunction("window.loaded === true");
    const frame = page.frames().find((each) => each !== page.mainFrame());
    expect(await frame?.getByRole("heading", { name: "Sign in" }).count()).toBe(0);
  });
});
