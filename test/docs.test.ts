import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "@jest/globals";
import { ROOT } from "./support/platform.ts";

const DOCUMENTS = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"],
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** Paths of the tree in code spans; a placeholder or a pattern in one is no path. */
const PATH =
  /`((?:builder|cli|contract|deploy|docs|gateway|http|kit|oci|provider|registry|templates|test|watchdog)\/[\w./-]*(?:\.(?:m?ts|mjs|md)|\/))`/g;
/** Links to files. */
const LINK = /\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g;

test.each(DOCUMENTS)("%s names only paths that there are", (document) => {
  const text = readFileSync(join(ROOT, document), "utf8");
  const named = [...text.matchAll(PATH)].map(([, path]) => path as string);
  const linked = [...text.matchAll(LINK)].map(([, path]) => join(dirname(document), path as string));
  expect([...named, ...linked].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test("the page of the architecture names many files", () => {
  const text = readFileSync(join(ROOT, "docs/architecture.md"), "utf8");
  expect([...text.matchAll(PATH)].length).toBeGreaterThan(50);
});
