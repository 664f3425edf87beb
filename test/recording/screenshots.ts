/** `npm run docs:screenshots`: pictures of the dashboard for docs/dashboard.md, of a platform that runs for them. */
import { join } from "node:path";
import type { Page } from "playwright-core";
import { openBrowser, openPage } from "../support/browser.ts";
import { signIn } from "../support/dashboard-gateway.ts";
import { ROOT } from "../support/platform.ts";
import { openShop } from "./shop.ts";

const FUNCTION = "/ui/functions/openfaas-fn/orders";

interface Picture {
  readonly file: string;
  readonly path: string;
  readonly scheme: "light" | "dark";
  readonly height?: number;
  /** What is done first. */
  readonly first?: (page: Page) => Promise<void>;
}

const PICTURES: readonly Picture[] = [
  { file: "overview", path: "/ui/", scheme: "light", height: 760 },
  { file: "function", path: FUNCTION, scheme: "light", height: 560 },
  {
    file: "call",
    path: `${FUNCTION}/calls`,
    scheme: "dark",
    first: async (page) => {
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("region", { name: "Calls" }).getByRole("link").first().click();
    },
  },
  { file: "metrics", path: `${FUNCTION}/metrics`, scheme: "light", height: 700 },
  { file: "scaling", path: `${FUNCTION}/scaling`, scheme: "dark" },
  { file: "versions", path: `${FUNCTION}/versions`, scheme: "light", height: 700 },
  { file: "settings", path: `${FUNCTION}/settings`, scheme: "dark" },
  { file: "deploy", path: "/ui/deploy/store", scheme: "light", height: 420 },
  { file: "queue", path: "/ui/queue", scheme: "dark", height: 760 },
  { file: "events", path: "/ui/events", scheme: "light" },
  {
    file: "event",
    path: "/ui/events?type=orders.created",
    scheme: "dark",
    height: 560,
    first: async (page) => await page.getByRole("link", { name: "orders.created" }).first().click(),
  },
  {
    file: "flow",
    path: "/ui/flows/checkout",
    scheme: "light",
    height: 560,
    first: async (page) => await page.getByRole("region", { name: "Runs" }).getByRole("link").first().click(),
  },
];
/** Long enough for lines of fifteen minutes to have a beginning; tell more by `WARM_UP_S`. */
const WARM_UP_MS = Number(process.env.WARM_UP_S ?? 75) * 1_000;
const SETTLE_MS = 2_500;

const shop = await openShop();
try {
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  const browser = await openBrowser();
  for (const { file, path, scheme, height = 640, first } of PICTURES) {
    const viewport = { width: 1120, height };
    const { page, close } = await openPage(browser, shop.platform.url, { colorScheme: scheme, viewport });
    await page.goto(shop.platform.url + path);
    await signIn(page, shop.password);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await first?.(page);
    await page.waitForTimeout(SETTLE_MS);
    await page.screenshot({ path: join(ROOT, `docs/img/dashboard-${file}.png`) });
    await close();
  }
  await browser.close();
} finally {
  await shop.close();
}
