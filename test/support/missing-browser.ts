import { existsSync } from "node:fs";
import { CHROMIUM } from "./browser.ts";
import { unlessRequired } from "./needing.ts";

/** Why no page can be opened here; undefined when one can. */
export function missingBrowser(): string | undefined {
  return existsSync(CHROMIUM) ? undefined : unlessRequired("chromium is not installed");
}
