import { expect, test } from "@jest/globals";
import { parseCallPolicy } from "../../../contract/policies/call-policy.ts";
import type { CorsPolicy } from "../../../contract/policies/cors-policy.ts";
import { applyCors, corsHeaders, decidePreflight, readPreflight } from "../../../gateway/core/cors.ts";

function policyOf(settings: Record<string, string>): CorsPolicy {
  const annotations = Object.entries(settings).map(([name, value]) => [`com.faaslane.cors.${name}`, value]);
  const { policy, problems } = parseCallPolicy(Object.fromEntries(annotations));
  if (!policy?.cors) throw new Error(problems.join());
  return policy.cors;
}

const named = policyOf({
  "allow-origins": "https://app.test,https://*.app.test,http://localhost:3000",
  "allow-methods": "GET,PUT",
  "allow-headers": "content-type,x-a",
  "expose-headers": "X-Call-Id",
  "allow-credentials": "true",
  "max-age": "10m",
});
const anybody = policyOf({ "allow-origins": "*", "allow-methods": "*", "allow-headers": "*" });

test.each<[origin: string, allowed: boolean]>([
  ["https://app.test", true],
  ["https://a.app.test", true],
  ["https://a.b.app.test", true],
  ["http://localhost:3000", true],
  ["http://app.test", false],
  ["https://app.test:444", false],
  ["https://app.test.evil.test", false],
  ["https://evilapp.test", false],
  ["https://.app.test", false],
  ["https://evil.test/.app.test", false],
  ["https://evil.test#.app.test", false],
  ["https://u@evil.test:.app.test", false],
  ["https://a..app.test", false],
  ["https://APP.test", false],
  ["null", false],
  ["", false],
  [`https://${"a.".repeat(200)}app.test`, false],
])("the origin %j: %j", (origin, allowed) => {
  expect(corsHeaders(named, origin)).toEqual(
    allowed
      ? {
          vary: "Origin",
          "access-control-allow-origin": origin,
          "access-control-allow-credentials": "true",
          "access-control-expose-headers": "X-Call-Id",
        }
      : { vary: "Origin" },
  );
  expect(decidePreflight(named, { origin, method: "GET", headers: undefined }).kind).toBe(
    allowed ? "allowed" : "refused",
  );
});

test("an answer that is the same for all origins does not vary", () => {
  expect(corsHeaders(anybody, "https://app.test")).toEqual({ "access-control-allow-origin": "*" });
  expect(corsHeaders(anybody, undefined)).toEqual({});
  expect(corsHeaders(named, undefined)).toEqual({ vary: "Origin" });
});

test.each<[asked: string, method: string, headers: string | undefined, kind: "allowed" | "refused"]>([
  ["a method that is named", "PUT", undefined, "allowed"],
  ["one that is not", "DELETE", undefined, "refused"],
  ["one in another case", "put", undefined, "refused"],
  ["headers that are named", "GET", "X-A, content-type", "allowed"],
  ["one more than that", "GET", "x-a,x-b", "refused"],
  ["no header in particular", "GET", "", "allowed"],
  ["what is no header", "GET", "x-a, a b", "refused"],
  ["a great many", "GET", "x-a,".repeat(2000), "refused"],
])("a preflight for %s", (_asked, method, headers, kind) => {
  expect(decidePreflight(named, { origin: "https://app.test", method, headers }).kind).toBe(kind);
});

test("whoever allows all headers says so by their names, as browsers do not take * for Authorization", () => {
  const asked = { origin: "https://x.test", method: "DELETE", headers: "Authorization, X-B" };
  expect(decidePreflight(anybody, asked)).toEqual({
    kind: "allowed",
    headers: {
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "DELETE",
      "access-control-allow-headers": "authorization, x-b",
    },
  });
});

test("only an OPTIONS of a page that names what it wants is a preflight", () => {
  const headers = { origin: "https://a.test", "access-control-request-method": "GET" };
  expect(readPreflight("OPTIONS", headers)).toEqual({ origin: "https://a.test", method: "GET", headers: undefined });
  expect(readPreflight("GET", headers)).toBeUndefined();
  expect(readPreflight("OPTIONS", { origin: "https://a.test" })).toBeUndefined();
  expect(readPreflight("OPTIONS", { "access-control-request-method": "GET" })).toBeUndefined();
});

test.each<[vary: string | string[] | undefined, expected: string]>([
  [undefined, "Origin"],
  ["Accept", "Accept, Origin"],
  [["Accept", "Cookie"], "Accept, Cookie, Origin"],
  ["accept, ORIGIN", "accept, ORIGIN"],
  ["*", "*"],
])("with Vary %j of the function, callers get %j", (vary, expected) => {
  const headers: Record<string, string | string[]> = { "access-control-allow-origin": "https://theirs.test" };
  if (vary !== undefined) headers.vary = vary;
  applyCors(headers, corsHeaders(named, "https://app.test"));
  expect(headers).toMatchObject({ vary: expected, "access-control-allow-origin": "https://app.test" });
});

test("what the function says of origins is taken away, also for those that are not allowed", () => {
  const headers: Record<string, string | string[]> = {
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "true",
    "x-kept": "1",
  };
  applyCors(headers, corsHeaders(named, "https://evil.test"));
  expect(headers).toEqual({ vary: "Origin", "x-kept": "1" });
});
