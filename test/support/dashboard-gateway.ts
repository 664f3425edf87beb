import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { type BrowserOptions, openPage, type WatchedPage } from "./browser.ts";
import { GuardedGateway } from "./guarded-gateway.ts";

export const PASSWORD = "let me in";
const PATIENCE_MS = 20_000;

/** An HTTP server of a test's own. */
export interface Site {
  readonly url: string;
  readonly address: string;
  close(): Promise<void>;
}

export async function openSite(listener: RequestListener): Promise<Site> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${address}`,
    address,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A gateway whose functions and provider are the test's, and browsers that look at it. */
export class DashboardGateway {
  readonly gateway: GuardedGateway;
  readonly #browser: Browser;
  readonly #opened: WatchedPage[] = [];
  readonly #sites: Site[] = [];

  private constructor(gateway: GuardedGateway, browser: Browser) {
    this.gateway = gateway;
    this.#browser = browser;
  }

  static async open(
    browser: Browser,
    env: Readonly<Record<string, string>> = {},
    password = PASSWORD,
  ): Promise<DashboardGateway> {
    return new DashboardGateway(await GuardedGateway.open(env, { user: "admin", password }), browser);
  }

  get url(): string {
    return this.gateway.url;
  }

  /** Deploys a function that answers by `listener`. */
  async deploy(name: string, listener: RequestListener): Promise<void> {
    const site = await openSite(listener);
    this.#sites.push(site);
    this.gateway.provider.put({ name, endpoints: [{ address: site.address, instance: "a", state: "ready" }] });
  }

  /** A page in a browser that knows nothing yet. @param origin of the dashboard, the gateway's unless given */
  async page(options: BrowserOptions = {}, origin = this.url): Promise<WatchedPage> {
    const opened = await openPage(this.#browser, origin, options);
    this.#opened.push(opened);
    opened.page.setDefaultTimeout(PATIENCE_MS);
    return opened;
  }

  /** A page that has signed in, at a screen. */
  async signedIn(path = "/ui/", origin = this.url): Promise<WatchedPage> {
    const opened = await this.page({}, origin);
    await opened.page.goto(origin + path);
    await signIn(opened.page);
    return opened;
  }

  async closePages(): Promise<void> {
    for (const { close } of this.#opened.splice(0)) await close();
  }

  async close(): Promise<void> {
    await this.closePages();
    await this.gateway.close();
    for (const site of this.#sites.splice(0)) await site.close();
  }
}

export async function signIn(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Places" }).waitFor();
}
