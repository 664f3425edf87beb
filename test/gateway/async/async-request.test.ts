import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type AsyncRequest, readAsyncRequest, takeParameter } from "../../../gateway/async/intake/async-request.ts";

const NOW = Date.parse("2030-06-01T12:00:00Z");
const PLAIN: AsyncRequest = { batch: false, query: "" };
const DAY_MS = 24 * 3600e3;
type Headers = Record<string, string | string[]>;

describe("what a caller asks of the queue", () => {
  test.each<[what: string, headers: Headers, query: string, expected: Partial<AsyncRequest>]>([
    ["nothing", {}, "", {}],
    ["an empty call id is none", { "x-call-id": "" }, "", {}],
    ["a call id", { "x-call-id": "order-7" }, "", { callId: "order-7" }],
    ["a key", { "x-idempotency-key": "k".repeat(256) }, "", { idempotencyKey: "k".repeat(256) }],
    ["a callback", { "x-callback-url": "http://a/b" }, "", { callbackUrl: "http://a/b" }],
    ["a delay in Go's notation", { "x-delay": "1m30s" }, "", { notBefore: NOW + 90_000 }],
    ["a delay in seconds", { "x-delay": "5" }, "", { notBefore: NOW + 5_000 }],
    ["the longest delay", { "x-delay": "720h" }, "", { notBefore: NOW + 30 * DAY_MS }],
    ["a delay of nothing", { "x-delay": "0s" }, "", {}],
    ["a delay as a parameter", {}, "a=1&delay=2s&b=%20", { notBefore: NOW + 2_000, query: "a=1&b=%20" }],
    ["both, if they agree", { "x-delay": "60" }, "delay=1m", { notBefore: NOW + 60_000 }],
    ["other parameters stay as they were sent", {}, "b=%41&&a=+&delayed=1", { query: "b=%41&&a=+&delayed=1" }],
    ["an expiry as RFC 3339", { "x-not-after": "2030-06-01T13:00:00+01:00" }, "", { notAfter: NOW }],
    ["an expiry as an HTTP date", { "x-not-after": "Sat, 01 Jun 2030 12:00:01 GMT" }, "", { notAfter: NOW + 1_000 }],
    ["an expiry in Unix seconds", { "x-not-after": String(NOW / 1000 + 9) }, "", { notAfter: NOW + 9_000 }],
    ["an expiry from now", { "x-not-after": "10m" }, "", { notAfter: NOW + 600_000 }],
    ["an expiry that has passed", { "x-not-after": "2029-01-01T00:00:00Z" }, "", { notAfter: 1861920000000 }],
    ["a batch", { "x-batch": "true", "content-type": "Application/x-ndjson; charset=utf-8" }, "", { batch: true }],
    ["no batch", { "x-batch": "false", "content-type": "text/plain" }, "", {}],
  ])("%s", (_what, headers, query, expected) => {
    expect(readAsyncRequest(headers, query, NOW)).toEqual({ ...PLAIN, ...expected });
  });

  test.each<[headers: Headers, query: string, message: RegExp]>([
    [{ "x-call-id": "c".repeat(257) }, "", /^X-Call-Id: must have 1 to 256 characters/],
    [{ "x-idempotency-key": "" }, "", /^X-Idempotency-Key: must have 1 to 256/],
    [{ "x-idempotency-key": "k".repeat(257) }, "", /^X-Idempotency-Key: must have 1 to 256/],
    [{ "x-callback-url": "ftp://a" }, "", /^X-Callback-Url: must be/],
    [{ "x-delay": "soon" }, "", /^X-Delay: must be a duration/],
    [{ "x-delay": "-1s" }, "", /^X-Delay: must be a duration/],
    [{ "x-delay": "720h1ms" }, "", /^X-Delay: .*at most 720h/],
    [{ "x-delay": "1s, 2s" }, "", /^X-Delay: /],
    [{}, "delay=1x", /^delay: must be a duration/],
    [{}, "delay", /^delay: must be a duration/],
    [{ "x-delay": "1s" }, "delay=2s", /^X-Delay: must not differ/],
    [{ "x-not-after": "tomorrow" }, "", /^X-Not-After: must be a time/],
    [{ "x-not-after": "2030-02-31" }, "", /^X-Not-After: must be a time/],
    [{ "x-not-after": "9999999999999" }, "", /^X-Not-After: must be a time/],
    [{ "x-not-after": "2099-01-01T00:00:00Z" }, "", /^X-Not-After: .*1440h ahead/],
    [{ "x-delay": "1h", "x-not-after": "30m" }, "", /^X-Not-After: must be later than the end of the delay/],
    [{ "x-batch": "yes" }, "", /^X-Batch: must be true or false/],
    [{ "x-batch": "true" }, "", /^X-Batch: needs the Content-Type application\/x-ndjson/],
  ])("%j %s is refused", (headers, query, message) => {
    expect(() => readAsyncRequest(headers, query, NOW)).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) }),
    );
  });

  test("of a repeated parameter the last counts, and all are taken out", () => {
    expect(takeParameter("delay=1&x&delay=2", "delay")).toEqual({ value: "2", rest: "x" });
  });

  test("whatever the query, what is left of it is all but the parameter, in its order", () => {
    const part = fc.constantFrom(
      "delay",
      "delay=",
      "delay=1s",
      "delayed",
      "xdelay",
      "xdelay=1",
      "a=1",
      "",
      "=",
      "a=delay",
      "%64elay",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const query = parts.join("&");
        const isIt = (text: string) => text === "delay" || text.startsWith("delay=");
        const all = query.split("&");
        expect(takeParameter(query, "delay")).toEqual({
          value: all
            .filter(isIt)
            .at(-1)
            ?.replace(/^delay=?/, ""),
          rest: all.filter((text) => !isIt(text)).join("&"),
        });
      }),
    );
  });
});
