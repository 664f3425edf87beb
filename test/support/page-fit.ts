import type { Page } from "playwright-core";

/** A window as most have it. */
export const WIDE = { width: 1280, height: 900 } as const;
/** The same at 200 and 400 %. */
export const ZOOMED = [
  { width: 640, height: 450 },
  { width: 320, height: 256 },
] as const;

const SETTLE_MS = 5_000;

/** What of a screen does not fit, or is out of order, at any of these sizes; charts and tables have a while to follow. */
export async function faultsOfSizes(
  page: Page,
  sizes: readonly (typeof WIDE | (typeof ZOOMED)[number])[],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const size of sizes) {
    await page.setViewportSize(size);
    const look = async () => [...(await misfits(page)), ...(await disorder(page))];
    const deadline = Date.now() + SETTLE_MS;
    let faults = await look();
    while (faults.length > 0 && Date.now() < deadline) faults = await look();
    found.push(...faults.map((fault) => `${size.width}: ${fault}`));
  }
  return found;
}

/**
 * What of a screen cannot be seen or reached at the size that the window has: the page scrolls sideways, something is cut off, or lies
 * where nobody can scroll to. What scrolls by itself, as a wide table does, has to be reached by keyboard.
 */
async function misfits(page: Page): Promise<readonly string[]> {
  return await page.evaluate(LOOK);
}

const LOOK = `(() => {
  const found = [];
  const root = document.documentElement;
  const say = (what, element) => found.push(what + ": " + element.outerHTML.replace(/\\s+/g, " ").slice(0, 120));
  if (root.scrollWidth > root.clientWidth) found.push("the page scrolls sideways by " + (root.scrollWidth - root.clientWidth));
  const open = document.querySelector("dialog[open]");
  const scrolls = (element) => /auto|scroll/.test(getComputedStyle(element).overflowX) && element.scrollWidth > element.clientWidth;
  const canFocus = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  for (const element of (open ?? document.body).querySelectorAll("*")) {
    if (!element.checkVisibility() || element.closest(".hidden, .skip, svg, canvas, option")) continue;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const holders = [];
    for (let above = element.parentElement; above; above = above.parentElement) holders.push(above);
    if (scrolls(element) && !element.matches("input, textarea, select, " + canFocus) && !element.querySelector(canFocus)) {
      say("scrolls out of reach of the keyboard", element);
    }
    if (/hidden|clip/.test(style.overflowX) && element.scrollWidth > element.clientWidth + 1) say("cuts off", element);
    const isControl = element.matches(canFocus) || element.matches("h1, h2, h3, p, dd, dt, li, pre, label, legend");
    if (!isControl || holders.some(scrolls)) continue;
    if (box.width > 0 && (box.right > root.clientWidth + 1 || box.left < -1)) say("lies beside the window", element);
    if (element.matches("button, select, a[href]") && box.width === 0) say("has no size", element);
    if (element.matches("button, label, legend, h1, h2, h3") && element.scrollWidth > element.clientWidth + 1 && style.display !== "inline") {
      say("is wider than its place", element);
    }
  }
  return [...new Set(found)];
})()`;

/** Pairs of what the focus comes to one after the other, of which the second is before the first to who reads. */
async function disorder(page: Page): Promise<readonly string[]> {
  return await page.evaluate(ORDER);
}

const ORDER = `(() => {
  const root = document.querySelector("dialog[open]") ?? document.body;
  const all = [...root.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter(
    (element) => element.checkVisibility() && !element.disabled && !element.closest(".skip"),
  );
  const words = (element) => element.tagName.toLowerCase() + " " + (element.ariaLabel || element.textContent || element.id).trim().slice(0, 40);
  const found = all.filter((element) => element.tabIndex > 0).map((element) => "has an order of its own: " + words(element));
  for (let at = 1; at < all.length; at++) {
    const [one, next] = [all[at - 1], all[at]];
    if (one.contains(next)) continue;
    const [a, b] = [one.getBoundingClientRect(), next.getBoundingClientRect()];
    const isAbove = b.bottom <= a.top + 1 && b.left < a.right;
    const isBefore = b.right <= a.left + 1 && b.top < a.bottom - 1 && b.bottom > a.top + 1;
    if (isAbove || isBefore) found.push(words(one) + " comes before " + words(next));
  }
  return found;
})()`;
