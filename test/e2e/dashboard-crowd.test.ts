import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { GuardedGateway } from "../support/guarded-gateway.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";

const PATIENCE_MS = 30_000;
const COUNT = 1_000;
/** More rows than can be seen at once, with those a little beyond. */
const MOST_ROWS = 120;
const nameOf = (n: number) => `f-${String(n).padStart(4, "0")}`;

/** Whether the first chart has lines of a colour; those of its grid have the colour of the theme's borders. */
const hasColor = (rgb: number) => `(() => {
  const canvas = document.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 255 && ((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]) === ${rgb}) return true;
  }
  return false;
})()`;

describeNeeding(missingBrowser())("the overview of a thousand functions", () => {
  let gateway: GuardedGateway;
  let browser: Browser;
  let opened: WatchedPage;
  let page: Page;

  beforeAll(async () => {
    gateway = await GuardedGateway.open();
    for (let n = 0; n < COUNT; n++) put(n, {});
    browser = await openBrowser();
    opened = await openPage(browser, gateway.url);
    ({ page } = opened);
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${gateway.url}/ui/?sort=name`);
    await page.getByText("1,000 functions").waitFor();
  }, 120_000);

  afterAll(async () => {
    await opened?.close();
    await browser?.close();
    await gateway?.close();
  }, 60_000);

  const put = (n: number, change: { readonly replicas?: number; readonly problem?: string }) =>
    gateway.provider.put({
      name: nameOf(n),
      namespace: n % 10 === 0 ? "staging" : "openfaas-fn",
      replicas: 0,
      ...change,
    });
  const rowOf = (name: string) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
  const rowCount = async () => await page.locator("tbody tr[aria-rowindex]").count();
  const box = `document.querySelector('[aria-label="Functions"]')`;
  const scroll = (to: string) => page.evaluate(`{ const box = ${box}; box.scrollTop = ${to}; }`);

  test("only those that can be seen are in the page, as rows of a table of all", async () => {
    expect(await page.getByRole("table", { name: "Functions" }).getAttribute("aria-rowcount")).toBe(String(COUNT + 1));
    expect(await rowOf(nameOf(0)).getAttribute("aria-rowindex")).toBe("2");
    expect(await rowCount()).toBeLessThan(MOST_ROWS);
    await scroll("box.scrollHeight");
    await rowOf(nameOf(COUNT - 1)).waitFor();
    expect(await rowOf(nameOf(COUNT - 1)).getAttribute("aria-rowindex")).toBe(String(COUNT + 1));
    expect(await rowCount()).toBeLessThan(MOST_ROWS);
    await scroll("0");
    await rowOf(nameOf(0)).waitFor();
  }, 60_000);

  test("what changes is drawn, and nothing else", async () => {
    await page.evaluate(`
      window.touched = new Set();
      window.observer = new MutationObserver((records) => {
        for (const { target } of records) {
          const row = (target.nodeType === 1 ? target : target.parentElement).closest("tr");
          if (row) window.touched.add(row.querySelector("a")?.textContent);
        }
      });
      window.observer.observe(document.querySelector("tbody"), { subtree: true, childList: true, characterData: true, attributes: true });
    `);
    for (let n = 500; n < 700; n++) put(n, { replicas: 2 });
    put(3, { replicas: 7 });
    await rowOf(nameOf(3)).getByText("0 of 7").waitFor();
    expect(await page.evaluate("[...window.touched]")).toEqual([nameOf(3)]);
    await page.evaluate("window.observer.disconnect()");
  }, 60_000);

  test("a row with the focus keeps it while the table is scrolled and told of changes", async () => {
    const focused = () => page.evaluate("document.activeElement?.textContent");
    await rowOf(nameOf(2)).getByRole("link").focus();
    await scroll("box.scrollHeight / 2");
    await rowOf(nameOf(500)).waitFor();
    put(500, { replicas: 9 });
    await rowOf(nameOf(500)).getByText("0 of 9").waitFor();
    expect(await focused()).toBe(nameOf(2));
    await page.keyboard.press("Tab");
    expect(await focused()).toBe(nameOf(3));
    await eventually("it is in sight", () => page.evaluate(`${box}.scrollTop < 1000`), PATIENCE_MS);
  }, 60_000);

  test("one is found by the filter and opened with the keyboard; filters are in the address", async () => {
    await page.getByLabel("Filter").focus();
    await page.keyboard.type("f-0777");
    await page.getByText("1 of 1,000 functions").waitFor();
    expect(new URL(page.url()).search).toBe("?sort=name&filter=f-0777");
    await rowOf("f-0777").getByRole("link").focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "f-0777" }).waitFor();
    await page.goBack();
    await page.getByText("1 of 1,000 functions").waitFor();
    await page.getByLabel("Filter").fill("");
    await page.getByLabel("Namespace").selectOption("staging");
    await page.getByText("100 of 1,000 functions").waitFor();
    expect(new URL(page.url()).searchParams.get("namespace")).toBe("staging");
  }, 60_000);

  test("what cannot start is told of above everything else, and can be asked for alone", async () => {
    await page.goto(`${gateway.url}/ui/`);
    for (let n = 10; n < 18; n++) put(n, { replicas: 1, problem: "no such image" });
    const attention = page.getByRole("region", { name: "Needs attention" });
    await attention.getByRole("link", { name: nameOf(10) }).waitFor();
    await attention.getByRole("link", { name: "and 3 more" }).click();
    await page.getByText("8 of 1,000 functions").waitFor();
  }, 60_000);

  test("charts are read with the keyboard and as a table, and drawn in the colours of the theme", async () => {
    gateway.change("charted", {});
    await eventually("it answers", async () => (await gateway.call("charted")).ok, PATIENCE_MS);
    await page.goto(`${gateway.url}/ui/functions/openfaas-fn/charted/metrics`);
    const chart = page.getByRole("figure").filter({ hasText: "Calls by status" });
    await chart.getByRole("img", { name: /^Calls by status: 2xx: [\d.]+, / }).waitFor();
    await page.getByLabel("Moment").focus();
    await page.keyboard.press("Home");
    await chart.getByText("2xx: –").waitFor();
    await page.keyboard.press("Escape");
    await chart.getByText(/2xx: [\d.]+, /).waitFor();
    await chart.getByText("Show as table").focus();
    await page.keyboard.press("Enter");
    await chart.getByRole("columnheader", { name: "2xx" }).waitFor();
    await eventually("it is light", () => page.evaluate(hasColor(0xd0d5dc)), PATIENCE_MS);
    await page.emulateMedia({ colorScheme: "dark" });
    await eventually("it is dark", () => page.evaluate(hasColor(0x3a424d)), PATIENCE_MS);
    await page.getByRole("button", { name: "7 days" }).click();
    expect(new URL(page.url()).search).toBe("?range=7d");
    expect(opened.faults).toEqual([]);
  }, 60_000);
});
