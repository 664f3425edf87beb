import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../support/platform.ts";

/** A page of the project. */
export interface Page {
  /** From the root of the project. */
  readonly path: string;
  readonly text: string;
}

/** A block between fences. */
export interface Block {
  readonly page: string;
  /** Of its first line of text, from 1. */
  readonly line: number;
  /** The word after the fence; empty where there is none. */
  readonly language: string;
  readonly text: string;
}

const SKIPPED = /(?:^|\/)(?:node_modules|dist|fixtures|\.[^/]+)(?:\/|$)/;

/** Files below the folders of the project, what is installed or made left out. */
export function filesOf(folders: readonly string[], ending: RegExp): Page[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
    )
    .filter((path) => ending.test(path) && !SKIPPED.test(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

/** The folders of the project's root. */
export const FOLDERS = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !SKIPPED.test(entry.name))
  .map(({ name }) => name);

/** Every page that people read. */
export const PAGES: readonly Page[] = [
  ...readdirSync(ROOT)
    .filter((name) => name.endsWith(".md"))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") })),
  ...filesOf(FOLDERS, /\.md$/),
];

/** Pages about how the project is now: decision records and the change log tell of what was. */
export const CURRENT = PAGES.filter(({ path }) => path !== "CHANGELOG.md" && dirname(path) !== "docs/adr");

/** The blocks between fences of a page, with their own indentation taken off. */
export function blocksOf({ path, text }: Page): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; indent: number; language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const [, indent = "", fence = "", language = ""] = /^(\s*)(`{3,})\s*(\w*)/.exec(line) ?? [];
    if (open === undefined) {
      if (fence !== "") open = { fence, indent: indent.length, language, line: index + 2, lines: [] };
    } else if (fence === open.fence) {
      blocks.push({ page: path, line: open.line, language: open.language, text: open.lines.join("\n") });
      open = undefined;
    } else open.lines.push(line.slice(open.indent));
  }
  return blocks;
}

/** A page without its blocks. */
export const proseOf = ({ text }: Page): string => text.replace(/^(\s*)(`{3,})[^\n]*\n[\s\S]*?^\s*\2\s*$/gm, "");

/** What is between single backticks of a page. */
export const spansOf = (page: Page): string[] =>
  [...proseOf(page).matchAll(/`([^`\n]+(?:\n[^`\n]+)?)`/g)].map(([, span]) =>
    (span as string).replace(/\s*\n\s*/g, " "),
  );
