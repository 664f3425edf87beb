import { get, type IncomingMessage } from "node:http";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, CDPSession, Page } from "playwright-core";
import { openBrowser } from "../support/browser.ts";
import { DashboardGateway, PASSWORD } from "../support/dashboard-gateway.ts";
import { eventually } from "../support/eventually.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";

/** How long the page is looked at: ten of them show what grows slowly. */
const MINUTES = Number(process.env.DASHBOARD_MINUTES ?? 0.5);
const COUNT = 1_000;
const CHANGES_A_SECOND = 100;
const READERS = 100;
const MIB = 1024 ** 2;
/** What garbage collection and caches of code make of it. */
const HEAP_MAY_GROW = 4 * MIB;

describeNeeding(missingBrowser())("the dashboard, of a thousand functions, for long", () => {
  let browser: Browser;
  let gateway: DashboardGateway;

  beforeAll(async () => {
    browser = await openBrowser();
    gateway = await DashboardGateway.open(browser);
    for (let n = 0; n < COUNT; n++) put(n, 0);
  }, 60_000);
  afterEach(async () => await gateway.closePages());
  afterAll(async () => {
    await gateway?.close();
    await browser?.close();
  }, 30_000);

  const put = (n: number, replicas: number, text = "") =>
    gateway.gateway.provider.put({ name: `f-${String(n).padStart(4, "0")}`, replicas, labels: { text } });

  /** Has functions change, a hundred a second. @returns ends it */
  function keepChanging(text = ""): () => void {
    let at = 0;
    const timer = setInterval(() => {
      for (let n = 0; n < CHANGES_A_SECOND; n++) put(at++ % COUNT, at % 7, text);
    }, 1_000);
    return () => clearInterval(timer);
  }

  async function session(): Promise<Record<string, string>> {
    const body = JSON.stringify({ user: "admin", password: PASSWORD });
    const init = { method: "POST", headers: { "content-type": "application/json" }, body };
    const answer = await fetch(`${gateway.url}/ui/api/session`, init);
    const { token } = (await answer.json()) as { token: string };
    const cookie = answer.headers.getSetCookie()[0]?.split(";")[0] as string;
    return { cookie, "x-faaslane-session": token };
  }

  async function read(headers: Record<string, string>): Promise<IncomingMessage> {
    return await new Promise((resolve, reject) => {
      get(`${gateway.url}/ui/api/stream?topics=functions`, { headers, agent: false }, (answer) => {
        answer.on("error", () => {});
        resolve(answer);
      }).on("error", reject);
    });
  }

  /** Bytes of the page's heap, and nodes of its document, once nothing is left that nobody needs. */
  async function measure(page: Page, devtools: CDPSession): Promise<{ heap: number; nodes: number }> {
    for (let at = 0; at < 3; at++) await devtools.send("HeapProfiler.collectGarbage");
    const { usedSize } = (await devtools.send("Runtime.getHeapUsage")) as { usedSize: number };
    return { heap: usedSize, nodes: await page.locator("*").count() };
  }

  test(
    "memory stays as it is while all the list changes",
    async () => {
      const { page } = await gateway.signedIn();
      await page.getByText("1,000 functions").waitFor();
      const devtools = await page.context().newCDPSession(page);
      await devtools.send("HeapProfiler.enable");
      const end = keepChanging();
      try {
        const seen = () => page.evaluate<string>("document.querySelector('tbody').innerText");
        const first = await seen();
        await eventually("it is told of changes", async () => (await seen()) !== first, 20_000, 500);
        // Once each row has changed twice.
        await page.waitForTimeout((2_000 * COUNT) / CHANGES_A_SECOND);
        const before = await measure(page, devtools);
        const until = Date.now() + MINUTES * 60_000;
        while (Date.now() < until) {
          await page.mouse.wheel(0, 400);
          await page.waitForTimeout(1_000);
        }
        const after = await measure(page, devtools);
        // biome-ignore lint/suspicious/noConsole: the numbers are what one runs it for
        console.log(`heap ${before.heap / MIB} to ${after.heap / MIB} MiB, nodes ${before.nodes} to ${after.nodes}`);
        expect(after.heap - before.heap).toBeLessThan(HEAP_MAY_GROW);
        expect(after.nodes).toBeLessThan(3_000);
      } finally {
        end();
      }
    },
    MINUTES * 60_000 + 120_000,
  );

  test("a hundred readers are told, one more is refused, and a page among them says so", async () => {
    const headers = await session();
    const readers = await Promise.all(Array.from({ length: READERS }, () => read(headers)));
    try {
      const heard = readers.map(() => 0);
      for (const [at, reader] of readers.entries()) {
        reader.on("data", (piece: Buffer) => {
          if (piece.includes("event: patch")) heard[at] = 1;
        });
      }
      const end = keepChanging();
      await eventually("all are told", () => heard.every((count) => count === 1), 60_000, 100);
      end();
      expect((await read(headers)).statusCode).toBe(429);
      const { page } = await gateway.signedIn();
      await page.getByText("follow the dashboard already").waitFor();
      readers.pop()?.destroy();
      await page.getByText("1,000 functions").waitFor();
      await page.getByText("follow the dashboard already").waitFor({ state: "detached" });
    } finally {
      for (const reader of readers) reader.destroy();
    }
  }, 180_000);

  test("a reader that takes nothing costs little memory, and is let go of", async () => {
    const headers = await session();
    const readers = await Promise.all(Array.from({ length: READERS }, () => read(headers)));
    for (const reader of readers.slice(1)) reader.resume();
    readers[0]?.pause();
    const before = process.memoryUsage().rss;
    const end = keepChanging("x".repeat(8_000));
    try {
      // There is room for another one then.
      await eventually(
        "it is let go of",
        async () => {
          const another = await read(headers);
          another.destroy();
          return another.statusCode === 200;
        },
        240_000,
        1_000,
      );
      expect(process.memoryUsage().rss - before).toBeLessThan(300 * MIB);
    } finally {
      end();
      for (const reader of readers) reader.destroy();
    }
  }, 300_000);
});
