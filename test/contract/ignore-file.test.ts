import { expect, test } from "@jest/globals";
import { parseIgnoreFile } from "../../contract/ignore-file.ts";

test.each<[patterns: string[], left: string[], kept: string[]]>([
  [["node_modules"], ["node_modules", "node_modules/a/b.js"], ["lib/node_modules", "node_modules2"]],
  [["**/node_modules"], ["node_modules", "a/b/node_modules/c"], ["a/node_module"]],
  [["*.log"], ["a.log"], ["a/b.log", "alog", "a.log2"]],
  [["**/*.log"], ["a.log", "a/b.log"], ["a.logs"]],
  [["a/**"], ["a/b", "a/b/c"], ["a", "b/a/c"]],
  [["a/**/z"], ["a/z", "a/b/c/z"], ["a/b/zz"]],
  [["a?c"], ["abc"], ["ac", "a/c", "abbc"]],
  [["[a-c].txt"], ["b.txt"], ["d.txt"]],
  [["\\\\*.txt"], ["*.txt"], ["a.txt"]],
  [
    ["/a", "./b/", "c/../d"],
    ["a", "b", "d"],
    ["c", "x/a"],
  ],
  [
    ["*", "!keep.js", "!lib"],
    ["other.js", "x/y"],
    ["keep.js", "lib", "lib/a/b.js"],
  ],
  [["*.md", "!README.md", "README.md"], ["README.md"], []],
  [
    ["*.md", "!README*.md", "README-secret.md"],
    ["a.md", "README-secret.md"],
    ["README.md", "README-2.md"],
  ],
  [["# a", "", "  b  ", "\ufeffc"], ["b"], ["# a", "a"]],
  [["."], [], ["a", "a/b"]],
  [["a.b+(c)$"], ["a.b+(c)$"], ["axb+(c)$"]],
])("%j", (patterns, left, kept) => {
  const rules = parseIgnoreFile(patterns.join("\r\n").replaceAll("\\\\", "\\"));
  expect(left.filter((path) => !rules.ignores(path))).toEqual([]);
  expect(kept.filter((path) => rules.ignores(path))).toEqual([]);
});

test("a folder that is left out is looked into only for what is excepted by name", () => {
  const rules = parseIgnoreFile("dist\n!dist/keep/this\n!**/that");
  expect(["dist", "dist/keep", "dist/other", "src"].map((path) => rules.hasException(path))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test.each([
  ["a pattern without end", "x".repeat(1001), "longer than 1000 characters"],
  ["patterns without end", "x\n".repeat(1001), "more than 1000 patterns"],
  ["a range that runs backwards", "[z-a]", "is not a pattern"],
])("%s is refused", (_rule, text, message) => {
  expect(() => parseIgnoreFile(text)).toThrow(message);
});
