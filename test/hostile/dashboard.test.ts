import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { DashboardGateway } from "../support/dashboard-gateway.ts";
import type { ProviderRequest } from "../support/fake-provider.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";

const OVERRIDE = "\u202e";
/** Runs, asks elsewhere or turns around what is beside it, wherever it is taken for more than text. */
const EVIL = [
  "<img src=http://127.0.0.2:9/x onerror=window.ran=1>",
  "<script>window.ran=1</script>",
  `"'><svg/onload=window.ran=1>`,
  "javascript:window.ran=1",
  "{{constructor.constructor('window.ran=1')()}}",
  `${OVERRIDE}gnp.exe\u2066\u200f`,
  "\u001b[31mred\u001b]8;;http://127.0.0.2:9/\u0007link\u0000\u0008\u007f\u009b",
].join(" ");
/** Without what makes it no text. */
const TEXT = EVIL.replace(/(?![\n\t])\p{Cc}/gu, "");
/** What of it is to be read on the page. */
const SHOWN = "<script>window.ran=1</script>";
const HIDDEN = /\p{Bidi_Control}|(?![\n\t])\p{Cc}/u;
const LONG = "n".repeat(253);
const NAMESPACE = "openfaas-fn";

const STATUS = {
  name: "evil",
  namespace: NAMESPACE,
  image: EVIL,
  envProcess: EVIL,
  replicas: 1e308,
  availableReplicas: -1,
  invocationCount: 9e15,
  createdAt: EVIL,
  labels: { [EVIL]: EVIL, team: EVIL, __proto__x: "a" },
  annotations: { [EVIL]: EVIL, topic: EVIL },
  envVars: { [EVIL]: EVIL },
  secrets: [EVIL],
  limits: { memory: EVIL, cpu: EVIL },
  requests: { memory: EVIL },
  usage: { cpu: 1e300, totalMemoryBytes: -5 },
  problem: EVIL,
};
const VERSION = {
  name: EVIL,
  share: 10_000,
  tags: [EVIL],
  replicas: 1e300,
  availableReplicas: -1,
  createdAt: EVIL,
  content: STATUS,
};
const VERSIONS = {
  generation: 1,
  versions: [
    { version: "v1", ...VERSION },
    { version: EVIL, ...VERSION, share: 0 },
  ],
  previous: EVIL,
  history: [{ at: 1e300, traffic: EVIL, reason: EVIL, by: EVIL }],
};
const ROLLOUT = {
  rollout: {
    id: EVIL,
    phase: EVIL,
    from: EVIL,
    to: EVIL,
    step: 1e300,
    since: 1e300,
    startedAt: -1e300,
    reason: EVIL,
    settings: { strategy: EVIL, steps: [], gates: [] },
    measurements: [],
  },
  problem: EVIL,
};

describeNeeding(missingBrowser())("what others have written, in the dashboard", () => {
  let browser: Browser;
  let gateway: DashboardGateway;
  let opened: WatchedPage;
  let log = "";

  beforeAll(async () => {
    browser = await openBrowser();
    gateway = await DashboardGateway.open(browser, { queue: "embedded" });
    await gateway.deploy("evil", (req, res) => {
      res.writeHead(200, { "content-type": "text/html", "x-evil": "<script>window.ran=1</script>" });
      res.end(req.url === "/huge" ? `<b>${"x".repeat(1024 * 1024)}` : TEXT);
    });
    const { provider } = gateway.gateway;
    provider.put({
      name: "evil",
      labels: { [EVIL]: EVIL },
      annotations: { [EVIL]: EVIL },
      replicas: 1e9,
      endpoints: provider.of("evil")?.endpoints ?? [],
    });
    provider.put({ name: LONG });
    provider.respond = answer;
    // As strangers put it there: nobody checks what an event says.
    const headers = {
      "ce-specversion": "1.0",
      "ce-id": "<b>1</b>",
      "ce-source": "<img/src/onerror=window.ran=1>",
      "ce-type": "x<script>window.ran=1</script>",
    };
    const sent = await fetch(`${gateway.url}/broker/default`, {
      method: "POST",
      headers,
      body: JSON.stringify({ EVIL }),
    });
    expect(sent.status).toBe(202);
    for (const name of ["evil", LONG]) {
      await gateway.gateway.accept(`${name}?${encodeURIComponent(EVIL)}`, {
        body: EVIL,
        headers: { "x-evil": "<script>window.ran=1</script>" },
      });
    }
    opened = await gateway.signedIn();
  }, 60_000);
  afterEach(async () => {
    expect(await opened.page.evaluate("window.ran")).toBeUndefined();
    expect(opened.faults.filter((fault) => !fault.includes("status of"))).toEqual([]);
  });
  afterAll(async () => {
    await gateway?.close();
    await browser?.close();
  }, 30_000);

  function answer({ method, url }: ProviderRequest, res: ServerResponse): void {
    const json = (value: unknown) =>
      res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (method !== "GET") return void res.writeHead(400, { "content-type": "text/plain" }).end(EVIL);
    if (url.startsWith("/system/logs"))
      return void res.writeHead(200, { "content-type": "application/x-ndjson" }).write(log);
    if (url.startsWith("/system/secrets")) return void json([{ name: EVIL }, { name: LONG }]);
    if (url.startsWith("/system/namespaces")) return void json([NAMESPACE, EVIL]);
    if (url.startsWith("/system/namespace/"))
      return void json({ name: EVIL, labels: { [EVIL]: EVIL }, annotations: { [EVIL]: EVIL } });
    if (url.startsWith("/system/functions")) return void json([STATUS]);
    if (url.includes("/versions")) return void json(VERSIONS);
    if (url.includes("/rollout")) return void json(ROLLOUT);
    if (url.startsWith("/system/function/")) return void json(STATUS);
    if (url.startsWith("/system/info"))
      return void json({ provider: EVIL, orchestration: EVIL, version: { release: EVIL, sha: EVIL } });
    res.writeHead(404).end(EVIL);
  }

  async function show(path: string): Promise<Page> {
    const { page } = opened;
    await page.goto(`${gateway.url}/ui${path}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.getByText("Loading…").first().waitFor({ state: "detached" });
    return page;
  }

  /** No character of the page itself turns around, or hides among, what is beside it. */
  async function isPlain(page: Page): Promise<void> {
    expect(HIDDEN.exec(await page.evaluate<string>("document.body.innerText"))?.[0]).toBeUndefined();
    expect(await page.getByText("This cannot be shown").count()).toBe(0);
  }

  test.each([
    ["labels, annotations, environment, limits and numbers of a function", `/functions/${NAMESPACE}/evil`],
    ["the settings of a function", `/functions/${NAMESPACE}/evil/settings`],
    ["versions, tags, reasons and rollouts", `/functions/${NAMESPACE}/evil/versions`],
    ["names of secrets", "/secrets"],
    ["namespaces", "/namespaces"],
    ["what the provider says of itself", "/platform"],
  ])("%s", async (_what, path) => {
    const page = await show(path);
    await page.getByText(SHOWN).first().waitFor({ state: "attached" });
    await isPlain(page);
    for (const button of await page.getByRole("button", { name: /^(Show values|Split traffic)$/ }).all())
      await button.click();
    await isPlain(page);
  });

  test.each([
    ["the list of functions, and a name of 253 characters", "/"],
    ["a function's calls", `/functions/${NAMESPACE}/evil/calls`],
    ["a function's charts", `/functions/${NAMESPACE}/evil/metrics`],
    ["a function's scaling", `/functions/${NAMESPACE}/evil/scaling`],
    ["a function that an address makes up", `/functions/${encodeURIComponent(EVIL)}/${encodeURIComponent(EVIL)}`],
    ["a tab that an address makes up", `/functions/a/b/${encodeURIComponent(EVIL)}`],
    [
      "filters that an address makes up",
      `/events?type=${encodeURIComponent(EVIL)}&source=${encodeURIComponent(EVIL)}&state=${encodeURIComponent(EVIL)}&sort=__proto__`,
    ],
    ["an event that an address makes up", `/events/${encodeURIComponent(EVIL)}`],
    ["the queue", "/queue"],
    ["where to deploy", "/deploy"],
  ])("%s", async (_what, path) => {
    const page = await show(path);
    await isPlain(page);
    const beyond = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    expect(beyond).toBe(0);
  });

  test("an event's type, source, id and data", async () => {
    const page = await show("/events");
    await page.getByText(SHOWN).first().waitFor();
    await page.getByRole("link", { name: SHOWN }).click();
    await page.getByText("<b>1</b>").first().waitFor();
    await isPlain(page);
  });

  test("an answer, and its headers", async () => {
    const page = await show(`/functions/${NAMESPACE}/evil/invoke`);
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByRole("region", { name: "Answer" }).locator("pre").getByText(SHOWN).waitFor();
    await page.getByText("Headers").last().click();
    await isPlain(page);
  });

  test("an answer of a megabyte", async () => {
    const page = await show(`/functions/${NAMESPACE}/evil/invoke`);
    await page.getByLabel(/^Path/).first().fill("/huge");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByRole("region", { name: "Answer" }).getByText("200").first().waitFor();
    expect(await page.evaluate("document.body.innerText.length")).toBeLessThan(600_000);
  });

  test("log lines: script, colours, turned text, control characters, a megabyte in one", async () => {
    const line = (text: string) =>
      `${JSON.stringify({ name: "evil", namespace: NAMESPACE, instance: EVIL, timestamp: EVIL, text })}\n`;
    log = [EVIL, "x".repeat(1024 * 1024), "\u001b[2J\u001b[H\u001b[31mred", `user${OVERRIDE}gnp.exe`, "last"]
      .map(line)
      .join("");
    const page = await show(`/functions/${NAMESPACE}/evil/logs`);
    await page.getByRole("log").getByText(SHOWN).first().waitFor();
    await page.getByRole("log").getByText("last").first().waitFor();
    await isPlain(page);
    expect(await page.evaluate("document.body.innerText.length")).toBeLessThan(60_000);
  });

  test("log lines that are none", async () => {
    log = "not json\n{}\n[]\nnull\n";
    const page = await show(`/functions/${NAMESPACE}/evil/logs`);
    await isPlain(page);
  });

  test("a call of the queue: its path, body and headers", async () => {
    const page = await show("/queue");
    await isPlain(page);
    await page.locator('a[href*="/ui/queue/"]').first().click();
    await page.getByText(SHOWN).first().waitFor();
    await isPlain(page);
  });

  test("an error that the provider makes up", async () => {
    const page = await show(`/functions/${NAMESPACE}/evil`);
    await page.getByRole("button", { name: "Remove" }).first().click();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Remove/ })
      .click();
    await page.getByRole("dialog").getByRole("alert").getByText(SHOWN).waitFor();
    await isPlain(page);
  });
});
