import { expect, test } from "@jest/globals";
import {
  parseBool,
  parseCommand,
  parseCount,
  parseDuration,
  parseLimit,
  parsePath,
  parsePort,
  parseTrue,
  parseTrueOr1,
  parseUpstream,
} from "../../watchdog/parse.ts";

test.each([
  ["30", 30_000],
  ["0", 0],
  ["0s", 0],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  [".5s", 500],
  ["250ms", 250],
  ["1h2m3.5s", 3_723_500],
  ["10us", 0.01],
])("the duration %s is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBeCloseTo(ms, 9);
});

test.each(["", "s", "1x", "-1", "-1s", "1s ", "1 s", "1m30", "1e3", "9999999h"])("%j is no duration", (text) => {
  expect(() => parseDuration(text)).toThrow(/must be/);
});

test.each([
  ["30", 30_000],
  ["1m30s", 90_000],
  ["0", 0],
  ["-5s", 0],
  ["-1.5h", 0],
  ["+2s", 2_000],
  ["9999h", 2 ** 31 - 1],
  ["99999999999", 2 ** 31 - 1],
])("the limit %s is %d ms", (text, ms) => {
  expect(parseLimit(text)).toBe(ms);
});

test.each(["", "s", "1x", "-1", "1 s", "30 s", "--1s", "soon"])("%j is no limit", (text) => {
  expect(() => parseLimit(text)).toThrow("must be a duration");
});

test("the first watchdog knows one word for yes, the second two", () => {
  expect([parseTrue("true"), parseTrue("false"), parseTrue("0")]).toEqual([true, false, false]);
  expect([parseTrueOr1("true"), parseTrueOr1("1"), parseTrueOr1("0")]).toEqual([true, true, false]);
  for (const text of ["True", "t", "yes", " true"]) {
    expect(() => parseTrue(text)).toThrow("must be");
    expect(() => parseTrueOr1(text)).toThrow("must be");
  }
  expect(() => parseTrue("1")).toThrow("must be");
});

test.each(["1", "t", "T", "TRUE", "true", "True"])("%s is true", (text) => {
  expect(parseBool(text)).toBe(true);
});

test.each(["0", "f", "F", "FALSE", "false", "False"])("%s is false", (text) => {
  expect(parseBool(text)).toBe(false);
});

test.each(["yes", "on", "tRUE", " true"])("%j is no boolean", (text) => {
  expect(() => parseBool(text)).toThrow("must be");
});

test.each(["-1", "1.5", "1e3", "0x10", "99999999999999999999"])("%s is no count", (text) => {
  expect(() => parseCount(text)).toThrow("whole number");
});

test.each(["65536", "-1", "80a", "999999"])("%s is no port", (text) => {
  expect(() => parsePort(text)).toThrow("port number");
});

test.each(["ready", "/a b", "/a\r\nb"])("%j is no path", (text) => {
  expect(() => parsePath(text)).toThrow("path");
});

test("a command is split at single spaces and knows no quoting", () => {
  expect(parseCommand('sh -c "a b"')).toEqual(["sh", "-c", '"a', 'b"']);
  expect(parseCommand("printf  x ")).toEqual(["printf", "", "x", ""]);
  for (const text of ["", " ", " sh"]) expect(() => parseCommand(text)).toThrow("program");
});

test("an upstream keeps its path as a prefix, without the last slash", () => {
  expect(parseUpstream("http://127.0.0.1:8082/api/")).toEqual({ host: "127.0.0.1", port: 8082, prefix: "/api" });
  expect(parseUpstream("http://[::1]:0")).toEqual({ host: "::1", port: 0, prefix: "" });
  expect(parseUpstream("http://localhost")).toEqual({ host: "localhost", port: 80, prefix: "" });
});

test.each(["127.0.0.1:8082", "https://127.0.0.1", "http://u:p@h", "http://h?x=1", "http://h:99999"])(
  "%s is no upstream",
  (text) => {
    expect(() => parseUpstream(text)).toThrow("must be a URL");
  },
);
