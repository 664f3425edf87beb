import { expect, test } from "@jest/globals";
import {
  type BindAddress,
  parseBindAddress,
  parseBindHost,
  parseServerUrl,
  parseSocketMode,
  urlOf,
} from "../../kit/bind-address.ts";

test.each<[text: string, address: BindAddress, url: string]>([
  ["127.0.0.1", { host: "127.0.0.1" }, "http://127.0.0.1:1"],
  ["0.0.0.0", { host: "0.0.0.0" }, "http://127.0.0.1:1"],
  ["::", { host: "::" }, "http://127.0.0.1:1"],
  ["[::]", { host: "::" }, "http://127.0.0.1:1"],
  ["::1", { host: "::1" }, "http://[::1]:1"],
  ["[::1]:8080", { host: "::1", port: 8080 }, "http://[::1]:1"],
  ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }, "http://127.0.0.1:1"],
  ["fe80::1%eth0", { host: "fe80::1%eth0" }, "http://[fe80::1%25eth0]:1"],
  ["[fe80::1%eth0]:80", { host: "fe80::1%eth0", port: 80 }, "http://[fe80::1%25eth0]:1"],
  ["localhost", { host: "localhost" }, "http://localhost:1"],
  ["node-1.internal:8080", { host: "node-1.internal", port: 8080 }, "http://node-1.internal:1"],
  ["unix:/run/faaslane.sock", { host: "unix:/run/faaslane.sock" }, "unix:/run/faaslane.sock"],
  ["unix:///run/a b.sock", { host: "unix:/run/a b.sock" }, "unix:/run/a b.sock"],
])("%s is an address to listen at", (text, address, url) => {
  expect(parseBindAddress(text)).toEqual(address);
  expect(urlOf("http", address.host, 1)).toBe(url);
});

test.each([
  "",
  "[::1",
  "::1]",
  "[127.0.0.1]",
  "a b",
  "http://x",
  "1.2.3.4:",
  "x:99999",
  "[::1]:x",
  "*",
  "::1%",
  "a/b",
  ":80",
])("%j is none", (text) => {
  expect(() => parseBindAddress(text)).toThrow("must be ");
});

test.each([
  "unix:",
  "unix:run/x",
  "unix:/",
  "unix:/run/",
  "unix:@x",
  "unix://host/x/",
  `unix:/${"x".repeat(107)}`,
  "unix:/a\0b",
])("%j is no path of a socket", (text) => {
  for (const parse of [parseBindAddress, parseServerUrl])
    expect(() => parse(text)).toThrow("must have an absolute path");
});

test("a server is named by a URL or a socket, byte for byte", () => {
  expect(parseServerUrl("http://[::1]:8081").href).toBe("http://[::1]:8081/");
  const path = "/run/a b?c#d%20/ü.sock";
  expect(decodeURIComponent(parseServerUrl(`unix:${path}`).pathname)).toBe(path);
  expect(() => parseServerUrl("ftp://x")).toThrow("must be an http or https URL");
});

test("a port has one place", () => {
  expect(parseBindHost("[::1]")).toBe("::1");
  expect(() => parseBindHost("[::1]:1")).toThrow("must be without a port");
});

test.each([
  ["0660", 0o660],
  ["666", 0o666],
])("%s are permissions", (text, mode) => expect(parseSocketMode(text)).toBe(mode));

test.each(["", "rw", "0999", "01777", "6"])("%j are none", (text) => {
  expect(() => parseSocketMode(text)).toThrow("must be permissions such as 0660");
});
