import { expect, test } from "@jest/globals";
import { loadAssets } from "../../../gateway/ui/assets.ts";
import { MAX_LINE_CHARS, plainLine } from "../../../gateway/ui/browser/ansi.ts";
import { showHidden } from "../../../gateway/ui/browser/hidden-characters.ts";
import { splitProblems, sumOf, targetsOf } from "../../../gateway/ui/browser/split-rules.ts";
import { filterLines, LogBuffer, logMessageOf } from "../../../gateway/ui/browser/state/log-lines.ts";

test.each([
  ["\u001b[31mred\u001b[0m and plain\n", "red and plain"],
  ["\u001b]0;title\u0007text", "text"],
  ["a\u0000b\u0008c\td", "abc\td"],
  ["user\u202etxt.exe", "user�txt.exe"],
  ["<script>alert(1)</script>", "<script>alert(1)</script>"],
])("a line of output %j is shown as %j", (given, shown) => {
  expect(plainLine(given)).toBe(shown);
});

test.each([
  ["user\u202etxt.exe", "user⟨U+202E⟩txt.exe"],
  ["a\u0000\u001b[31m\u007f\u009b", "a␀␛[31m␡⟨U+009B⟩"],
  ["zero\u200bwidth\ufeff\u{e0041}", "zero⟨U+200B⟩width⟨U+FEFF⟩⟨U+E0041⟩"],
  ["tab\tand\nline", "tab\tand\nline"],
  ["שלום, 你好, 👩‍💻", "שלום, 你好, 👩‍💻"],
])("the text %j is shown as %j", (given, shown) => {
  expect(showHidden(given)).toBe(shown);
});

test("lines of a log's stream that are none say nothing", () => {
  for (const line of ["", "not json", "null", "{}", '{"text":1}']) expect(logMessageOf(line)).toBeUndefined();
  expect(logMessageOf('{"text":"a"}')).toMatchObject({ text: "a", timestamp: "", instance: "" });
});

test("a line that nobody can read is cut, and says how long it was", () => {
  const shown = plainLine("x".repeat(1_000_000));
  expect(shown.length).toBeLessThan(MAX_LINE_CHARS + 50);
  expect(shown).toMatch(/… \(1000000 characters\)$/);
});

test("of lines that come too fast the rest is counted, and of all the latest are kept", () => {
  const buffer = new LogBuffer();
  const take = (count: number, now: number) => {
    for (let n = 0; n < count; n++) buffer.take({ timestamp: "t", instance: "a", text: `${n}` }, now);
  };
  // What was written before comes at once.
  take(700, 0);
  expect(buffer.read().skipped).toBe(0);
  take(700, 10_000);
  expect(buffer.read().skipped).toBe(200);
  for (let n = 0; n < 20_000; n++) buffer.take({ timestamp: "t", instance: "a", text: `later ${n}` }, 20_000 + n * 10);
  const { lines } = buffer.read();
  expect([lines.length, lines.at(-1)?.text]).toEqual([5_000, "later 19999"]);
});

test("lines are found by level, replica and text", () => {
  const lines = ["INFO ok", "WARNING slow", '{"level":"error","msg":"no"}'].map((text, key) => ({
    key,
    at: "t",
    text,
    instance: key === 0 ? "a" : "b",
  }));
  const found = (filter: Partial<Parameters<typeof filterLines>[1]>) =>
    filterLines(lines, { level: "", instance: "", text: "", ...filter }).map(({ key }) => key);
  expect(found({})).toEqual([0, 1, 2]);
  expect(found({ level: "warn" })).toEqual([1, 2]);
  expect(found({ level: "error" })).toEqual([2]);
  expect(found({ instance: "a" })).toEqual([0]);
  expect(found({ text: "SLOW" })).toEqual([1]);
});

const target = (version: string, percent: string, tag = "") => ({ version, percent, tag });

test.each([
  [[target("v1", "90"), target("v2", "10")], []],
  [[target("v1", "90"), target("v2", "9.99")], ["the percentages add up to 99.99, not to 100"]],
  [[target("v1", "100.01")], ["v1: must be a percentage of 0 to 100 with at most two decimals"]],
  [[target("v1", "100", "A B")], ["v1: a tag is lower-case letters, digits and -"]],
  [[target("v1", "100", "t"), target("v2", "0", "t")], ["the tag t is given twice"]],
  [[target("v1", "")], ["v1: must be a percentage of 0 to 100 with at most two decimals"]],
  [[target("v1", "33.33"), target("v2", "33.33"), target("v3", "33.34")], []],
])("the split %j has the problems %j", (targets, problems) => {
  expect(splitProblems(targets)).toEqual(problems);
});

test("what has no share and no tag is not sent", () => {
  expect(
    targetsOf([target("v1", "99.99"), target("v2", "0.01", "try"), target("v3", "0"), target("v4", "0", "old")]),
  ).toEqual([
    { version: "v1", share: 9_999 },
    { version: "v2", share: 1, tag: "try" },
    { version: "v4", share: 0, tag: "old" },
  ]);
});

test("all tags of a version are kept, and the sum is told while it is edited", () => {
  const targets = [target("v1", "90", "old, stable"), target("v2", "10", "")];
  expect(splitProblems(targets)).toEqual([]);
  expect(targetsOf(targets)).toEqual([
    { version: "v1", share: 9_000, tag: "old" },
    { version: "v1", share: 0, tag: "stable" },
    { version: "v2", share: 1_000 },
  ]);
  expect(splitProblems([target("v1", "100", "a,a")])).toEqual(["the tag a is given twice"]);
  expect(sumOf([target("v1", "33.3"), target("v2", "33.3")])).toBe(66.6);
  expect(sumOf([target("v1", "")])).toBeUndefined();
});

test("the page's script and styles are no larger than they may be", () => {
  const { files } = loadAssets();
  const sizeOf = (type: string) =>
    [...files.values()]
      .filter((file) => file.type.startsWith(type))
      .reduce((sum, { brotli }) => sum + brotli.length, 0);
  expect(sizeOf("text/javascript")).toBeGreaterThan(10 * 1024);
  expect(sizeOf("text/javascript")).toBeLessThanOrEqual(120 * 1024);
  expect(sizeOf("text/css")).toBeLessThanOrEqual(15 * 1024);
});
