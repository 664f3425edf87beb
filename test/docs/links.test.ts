import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "@jest/globals";
import { ROOT } from "../support/platform.ts";
import { CURRENT, FOLDERS, PAGES, type Page, proseOf } from "./documents.ts";

/** Paths of the tree in code spans; a placeholder or a pattern in one is no path. */
const PATH = new RegExp(`\`((?:${FOLDERS.join("|")})\\/[\\w./-]*(?:\\.(?:m?ts|mjs|md)|\\/))\``, "g");
/** Links inside of the project: a file, a part of one, or both. */
const LINK = /\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)/g;

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: Page): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ""] of proseOf(page).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = plain.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return anchors;
}

const anchors = new Map(PAGES.map((page) => [page.path, anchorsOf(page)]));

test("every link leads to a file, and to a heading where it names one", () => {
  const links = PAGES.flatMap((page) =>
    [...proseOf(page).matchAll(LINK)].map(([, path, anchor]) => ({
      from: page.path,
      target: path === "" ? page.path : join(dirname(page.path), path as string),
      anchor,
    })),
  );
  const broken = links.filter(
    ({ target, anchor }) =>
      !existsSync(join(ROOT, target)) || (anchor !== undefined && anchors.get(target)?.has(anchor) === false),
  );
  expect(links.length).toBeGreaterThan(500);
  expect(broken).toEqual([]);
});

test("every path of the tree that a page names is there", () => {
  const named = CURRENT.flatMap(({ path: page, text }) => [...text.matchAll(PATH)].map(([, path]) => [page, path]));
  expect(named.length).toBeGreaterThan(100);
  expect(named.filter(([, path]) => !existsSync(join(ROOT, path as string)))).toEqual([]);
});

test("every page can be reached by links from the first", () => {
  const reached = new Set(["README.md"]);
  for (const path of reached) {
    const page = PAGES.find((candidate) => candidate.path === path);
    for (const [, target = ""] of page?.text.matchAll(LINK) ?? []) {
      const to = join(dirname(path), target);
      for (const linked of [to, join(to, "README.md")]) if (anchors.has(linked)) reached.add(linked);
    }
  }
  // A template's page is shown to who makes a function of it; decision records are found by their folder.
  const alone = PAGES.filter(({ path }) => !reached.has(path) && !/^(templates|docs\/adr)\//.test(path));
  expect(alone.map(({ path }) => path)).toEqual([]);
});
