import { type Browser, type BrowserContextOptions, chromium, type Page, type Request } from "playwright-core";

export const CHROMIUM = "/usr/bin/chromium";

export type BrowserOptions = BrowserContextOptions;

export async function openBrowser(): Promise<Browser> {
  return await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A page, and all that is wrong with what has happened in it. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors of scripts and of the console, breaches of the page's policy, requests to other origins. */
  readonly faults: string[];
  close(): Promise<void>;
}

/** @param origin that everything has to come from */
export async function openPage(browser: Browser, origin: string, options: BrowserOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!/^(data:|blob:)/.test(request.url()) && new URL(request.url()).origin !== origin) {
      faults.push(`request: ${request.url()}`);
    }
  });
  await page.addInitScript(() => {
    const doc = (globalThis as unknown as { document: EventTarget }).document;
    doc.addEventListener("securitypolicyviolation", (event) => {
      // biome-ignore lint/suspicious/noConsole: the test listens to it
      console.error(`policy: ${(event as unknown as { violatedDirective: string }).violatedDirective}`);
    });
  });
  return { page, faults, close: () => context.close() };
}

/** @returns what the page follows now of what goes on; it grows and shrinks */
export function watchStreams(page: Page): ReadonlySet<Request> {
  const open = new Set<Request>();
  page.on("request", (request) => request.url().includes("/ui/api/stream") && open.add(request));
  page.on("requestfailed", (request) => open.delete(request));
  page.on("requestfinished", (request) => open.delete(request));
  return open;
}
