import type { IncomingMessage } from "node:http";
import { expect, test } from "@jest/globals";
import { buildCgiVariables, canonicalHeader, UnrepresentableError } from "../../watchdog/modes/fork/cgi.ts";
import { buildEnvelope } from "../../watchdog/modes/fork/envelope.ts";

/** A request as Node's parser would give it. */
function request(url: string, rawHeaders: readonly string[] = [], method = "POST"): IncomingMessage {
  const headers: Record<string, string> = {};
  for (let i = 0; i < rawHeaders.length; i += 2)
    headers[(rawHeaders[i] as string).toLowerCase()] ??= rawHeaders[i + 1] as string;
  return { url, method, rawHeaders, headers } as unknown as IncomingMessage;
}

test.each([
  ["x-api-key", "X-Api-Key"],
  ["X_Under", "X_under"],
  ["ETag", "Etag"],
  ["a--b", "A--B"],
])("%s is spelled %s", (name, canonical) => {
  expect(canonicalHeader(name)).toBe(canonical);
});

test("a request becomes variables, the first of several values wins", () => {
  const req = request("/a/b%2Fc?x=1&y=%20z", ["host", "fn.test", "x-a", "1", "X-A", "2", "content-length", "5"]);
  expect(buildCgiVariables(req, "classic")).toEqual({
    Http_X_A: "1",
    Http_Method: "POST",
    Http_ContentLength: "5",
    Http_Content_Length: "5",
    Http_Query: "x=1&y=%20z",
    Http_Path: "/a/b/c",
    Http_Host: "fn.test",
  });
});

test("of-watchdog leaves out the host and the second name of the length", () => {
  const req = request("/", ["Host", "h", "Content-Length", "5"]);
  expect(buildCgiVariables(req, "of-watchdog")).toEqual({
    Http_Content_Length: "5",
    Http_Method: "POST",
    Http_Path: "/",
  });
});

test("an unknown length is -1", () => {
  expect(buildCgiVariables(request("/", ["Transfer-Encoding", "chunked"]), "classic")).toMatchObject({
    Http_ContentLength: "-1",
    Http_Transfer_Encoding: "chunked",
  });
});

test.each(["Query", "Path", "Method", "ContentLength", "Transfer-Encoding-X"])(
  "a header named %s does not pass for what the watchdog says",
  (name) => {
    const variables = buildCgiVariables(request("/real", [name, "forged"], "GET"), "classic");
    expect(variables.Http_Query).toBeUndefined();
    expect(variables).toMatchObject({ Http_Path: "/real", Http_Method: "GET", Http_ContentLength: "0" });
  },
);

test("a Proxy header does not become HTTP_PROXY", () => {
  expect(Object.keys(buildCgiVariables(request("/", ["Proxy", "http://evil"]), "classic"))).toContain("Http_Proxy");
});

test.each([
  ["UTF-8 stays as it was sent", Buffer.from("grün").toString("latin1"), "grün"],
  ["other bytes are taken for Latin-1", "gr\xfcn", "grün"],
])("%s", (_rule, value, expected) => {
  expect(buildCgiVariables(request("/", ["X-A", value]), "classic").Http_X_A).toBe(expected);
});

test.each(["/%zz", "/%", "/a%00b"])("the path %s cannot be expressed", (path) => {
  expect(() => buildCgiVariables(request(path), "classic")).toThrow(UnrepresentableError);
});

test("the envelope holds all values, sorted names, and the body in base64", () => {
  const req = request("/", ["x-b", "1", "Host", "h", "x-a", "2", "X-B", "3"]);
  expect(JSON.parse(buildEnvelope(req, Buffer.from([0xff, 0])).toString())).toEqual({
    header: { "X-A": ["2"], "X-B": ["1", "3"] },
    body: { raw: "/wA=" },
  });
});
