import { expect, test } from "@jest/globals";
import { buildRequestHeaders, buildResponseHeaders, wantsStream } from "../../watchdog/modes/http-headers.ts";
import { callerTimeoutMs } from "../../watchdog/modes/http-proxy.ts";

test.each<[rule: string, method: string, sent: string[], passed: string[], hasBody: boolean]>([
  ["spelling, order and repeats stay", "GET", ["x-A", "1", "X-a", "2"], ["x-A", "1", "X-a", "2"], false],
  ["the length stays", "POST", ["Content-Length", "5"], ["Content-Length", "5"], true],
  [
    "trailers are announced",
    "PUT",
    ["Trailer", "X-T", "Transfer-Encoding", "chunked"],
    ["Transfer-Encoding", "chunked", "Trailer", "X-T"],
    true,
  ],
  ["chunks stay chunks", "POST", ["Transfer-Encoding", "chunked"], ["Transfer-Encoding", "chunked"], true],
  [
    "and are named once",
    "POST",
    ["Transfer-Encoding", "identity", "transfer-encoding", "chunked"],
    ["Transfer-Encoding", "chunked"],
    true,
  ],
  ["no length on a POST is an empty body", "POST", [], ["Content-Length", "0"], false],
  ["the connection's own headers go", "GET", ["Connection", "close", "Keep-Alive", "x", "TE", "gzip"], [], false],
  ["but that trailers are welcome", "GET", ["TE", "gzip, trailers"], ["TE", "trailers"], false],
  ["and those it names", "GET", ["Connection", "close, X-Hop", "X-Hop", "1", "X-End", "2"], ["X-End", "2"], false],
  [
    "but it cannot name the framing away",
    "POST",
    ["Connection", "content-length, host", "Content-Length", "5", "Host", "h"],
    ["Content-Length", "5", "Host", "h"],
    true,
  ],
])("%s", (_rule, method, sent, passed, hasBody) => {
  expect(buildRequestHeaders(sent, method)).toEqual({ headers: passed, hasBody });
});

test("an answer loses its framing and the connection's own", () => {
  const raw = ["Transfer-Encoding", "chunked", "Connection", "close", "Set-Cookie", "a", "Set-Cookie", "b"];
  const headers = ["Set-Cookie", "a", "Set-Cookie", "b"];
  expect(buildResponseHeaders(raw, true, true)).toEqual({ headers, hasLength: false });
});

test("an answer without a body says nothing of its length", () => {
  const raw = ["content-length", "2", "Trailer", "X-T"];
  expect(buildResponseHeaders(raw, false, true)).toEqual({ headers: [], hasLength: true });
});

test.each<[rule: string, raw: string[], canTrail: boolean, headers: string[]]>([
  ["are announced before a body in chunks", ["Trailer", "X-T"], true, ["Trailer", "X-T"]],
  ["are not beside a length", ["Trailer", "X-T", "Content-Length", "2"], true, ["Content-Length", "2"]],
  ["are not to a caller that takes none", ["Trailer", "X-T"], false, []],
])("trailers %s", (_rule, raw, canTrail, headers) => {
  expect(buildResponseHeaders(raw, true, canTrail).headers).toEqual(headers);
});

test.each(["X-OpenFaaS-Internal", "x-openfaas-internal"])("a function cannot set %s", (name) => {
  expect(buildResponseHeaders([name, "gateway", "X-A", "1"], true, true).headers).toEqual(["X-A", "1"]);
});

test.each([
  [undefined, false],
  ["*/*", false],
  ["text/html, Text/Event-Stream;q=0.9", true],
  ["application/x-ndjson", true],
])("Accept: %s wants a stream: %s", (accept, expected) => {
  expect(wantsStream(accept)).toBe(expected);
});

test.each([
  ["1s", 1000],
  ["5", 5000],
  ["10s", 10_000],
  ["11s", 10_000],
  ["0s", 10_000],
  ["-1s", 10_000],
  ["soon", 10_000],
  [undefined, 10_000],
])("X-Timeout: %s under a limit of 10 s gives %d ms", (header, ms) => {
  expect(callerTimeoutMs(header, 10_000)).toBe(ms);
});
