import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import { patternsIn, slowText } from "../support/slow-patterns.ts";

/** Text from outside meets regular expressions everywhere: none may take more than its length's time. */
const root = fileURLToPath(new URL("../..", import.meta.url));
const FOLDERS = ["contract", "kit", "http", "oci", "registry", "events", "provider", "gateway", "cli", "watchdog"];

test.each(FOLDERS)(
  "no regular expression of %s takes more than linear time",
  (folder) => {
    const patterns = patternsIn(root, [folder]);
    expect(patterns.size).toBeGreaterThan(3);
    const slow = [...patterns].flatMap(([name, pattern]) => {
      const text = slowText(pattern);
      return text === undefined ? [] : [`${name}: ${text}`];
    });
    expect(slow).toEqual([]);
  },
  120_000,
);

test.each([
  /^[+-]?(\d+\.?\d*|\.\d+)(m|k|[KMGTPE]i?|[eE][+-]?\d+)?$/,
  /^\s*([^=!\s]+)\s*={1,2}\s*([^=\s]*)\s*$/,
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?::[ \t]*|=)([^\r\n]*)$/,
  /\s*\n\s*/g,
  /\/+$/,
  /%.*$/,
  /-+$/,
  /(\d+\.?\d*|\.\d+)(ns|us|ms|s|m|h)/y,
])("the search finds one that does: %s", (pattern) => {
  expect(slowText(pattern)).toBeDefined();
});
