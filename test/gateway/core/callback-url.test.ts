import { expect, test } from "@jest/globals";
import { parseCallbackUrl, splitCallbackUrl } from "../../../gateway/core/callback-url.ts";

test.each<[header: string | string[] | undefined, expected: string | undefined]>([
  [undefined, undefined],
  ["", undefined],
  ["http://example.com", "http://example.com"],
  [" https://u:p@example.com:8443/a?b=c ", "https://u:p@example.com:8443/a?b=c"],
])("X-Callback-Url %j is %j", (header, expected) => {
  expect(parseCallbackUrl(header)).toBe(expected);
});

test.each<[header: string | string[]]>([
  ["  "],
  ["/relative"],
  ["example.com"],
  ["ftp://example.com/"],
  ["javascript:alert(1)"],
  ["http://"],
  ["http://exa mple.com/"],
  ["http://a.example/, http://b c.example/"],
  [["http://a.example/", "http://b.example/"]],
  [`http://example.com/${"a".repeat(9000)}`],
])("X-Callback-Url %j is invalid", (header) => {
  expect(() => parseCallbackUrl(header)).toThrow(expect.objectContaining({ kind: "invalid" }));
});

test("credentials in a bad URL are not repeated", () => {
  expect(() => parseCallbackUrl("ftp://user:hunter2@example.com/")).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining("hunter2") }),
  );
});

test.each<[text: string, url: string, pair: string | undefined]>([
  ["http://example.com/a?b", "http://example.com/a?b", undefined],
  ["http://user:p%40ss@example.com/", "http://example.com/", "user:p@ss"],
  ["http://user@example.com/", "http://example.com/", "user:"],
  ["http://us%25er:100%@example.com/", "http://example.com/", "us%er:100%"],
])("the credentials of %s become Basic auth", (text, url, pair) => {
  const target = splitCallbackUrl(text);
  expect(target.url.href).toBe(url);
  expect(target.authorization).toBe(pair === undefined ? undefined : `Basic ${Buffer.from(pair).toString("base64")}`);
});
