import { expect, test } from "@jest/globals";
import { checkJsonBounds, MAX_JSON_DEPTH, parseBoundedJson } from "../../contract/bounded-json.ts";

const bounds = { maxBytes: 1000, maxDepth: 3 };
const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;

test.each<[rule: string, text: string]>([
  ["a plain value", '"x"'],
  ["as deep as may be", deep(3)],
  ["depth is not a number of brackets", "[[],[],[],{},{}]"],
  ["brackets in a string", `"${"[{".repeat(100)}"`],
  ["brackets after an escaped quote in a string", `"\\"${"[".repeat(100)}"`],
  ["an escaped backslash before the end of a string", '["\\\\",[[]]]'],
  ["brackets in a name", `{"${"{".repeat(100)}":1}`],
  ["as long as may be", `"${"x".repeat(998)}"`],
])("takes %s", (_rule, text) => {
  expect(parseBoundedJson(text, bounds, "it")).toEqual(JSON.parse(text));
  expect(parseBoundedJson(Buffer.from(text), bounds, "it")).toEqual(JSON.parse(text));
});

test.each<[rule: string, text: string, kind: string, message: string]>([
  ["too deep an array", deep(4), "invalid", "it: JSON must be nested at most 3 levels deep"],
  ["too deep an object", '{"a":{"a":{"a":{}}}}', "invalid", "it: JSON must be nested at most 3 levels deep"],
  ["both in turn", '[{"a":[{}]}]', "invalid", "it: JSON must be nested at most 3 levels deep"],
  ["depth after a string", '["[",[[["', "invalid", "it: JSON must be nested at most 3 levels deep"],
  ["what is never closed", "[".repeat(1000), "invalid", "it: JSON must be nested at most 3 levels deep"],
  ["too long a text", " ".repeat(1001), "tooLarge", "it: JSON must have at most 1000 bytes"],
])("refuses %s", (_rule, text, kind, message) => {
  for (const source of [text, Buffer.from(text)]) {
    expect(() => checkJsonBounds(source, bounds, "it")).toThrow(expect.objectContaining({ kind, message }));
  }
});

test("what is not JSON is told by the parser", () => {
  expect(() => parseBoundedJson("{", bounds, "it")).toThrow(SyntaxError);
  expect(() => parseBoundedJson("]]]]", bounds, "it")).toThrow(SyntaxError);
});

test("five million brackets are refused at once", () => {
  const before = process.cpuUsage();
  const limits = { maxBytes: 1e9, maxDepth: MAX_JSON_DEPTH };
  expect(() => checkJsonBounds("[".repeat(5e6), limits, "it")).toThrow("at most 100 levels");
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(500);
});
