import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { testNeeding } from "../support/needing.ts";
import { expectFacts, type HeaderFacts, json, type Row, request, TEXT, withAuthorization } from "./facts.ts";
import { settings } from "./settings.ts";
import { ECHO, noMetrics, openTarget, type Target } from "./target.ts";

let target: Target;

beforeAll(async () => {
  target = await openTarget({ functions: ["public"] });
  await target.deploy({ service: "public", ...ECHO });
}, 120_000);

afterAll(() => target?.close());

const ASKED: HeaderFacts = { ...TEXT, "www-authenticate": 'Basic realm="Restricted"' };
const REFUSED = [401, ASKED, "invalid credentials"] as const;
const noPassword =
  settings.url && !settings.authorization ? "needs CONFORMANCE_PASSWORD, of a gateway with basic_auth" : undefined;

/** Every route that clients log in for. */
const PROTECTED: readonly string[] = [
  "GET /system/functions",
  "POST /system/functions",
  "PUT /system/functions",
  "DELETE /system/functions",
  "GET /system/function/public",
  "POST /system/scale-function/public",
  "GET /system/secrets",
  "POST /system/secrets",
  "PUT /system/secrets",
  "DELETE /system/secrets",
  "GET /system/logs?name=public",
  "GET /system/namespaces",
  "POST /system/namespace/",
  "GET /system/namespace/x",
  "PUT /system/namespace/x",
  "DELETE /system/namespace/x",
  "GET /system/info",
  "POST /system/alert",
  "GET /ui/",
];

/** Requests that carry something, and not what is wanted. A gateway may count these, so they are few. */
const WRONG: readonly [name: string, authorization: string][] = [
  ["a wrong password", `Basic ${Buffer.from("admin:wrong").toString("base64")}`],
  ["a wrong user", `Basic ${Buffer.from("root:wrong").toString("base64")}`],
  ["what is not base64", "Basic %%%"],
  ["a token", "Bearer abc"],
  ["an empty token, as faas-cli sends without a login", "Bearer "],
];

describe("what controls the platform asks for the password", () => {
  testNeeding(noPassword).each(PROTECTED)("%s", async (line) => {
    // A browser's form could send a request without a type; clients send JSON.
    const asked = line.startsWith("GET") ? request(line) : json(line, {});
    // An empty field of that name keeps the password from being added.
    const row: Row = [line, asked.replace("\r\n", "\r\nAuthorization:\r\n"), ...REFUSED];
    expectFacts(await target.ask(row), row);
  });

  for (const [name, authorization] of WRONG) {
    testNeeding(noPassword)(
      name,
      async () => {
        const row: Row = [name, withAuthorization(request("GET /system/functions"), authorization), ...REFUSED];
        expectFacts(await target.ask(row), row);
      },
      90_000,
    );
  }

  testNeeding(noPassword)("with it, the list is there, by exactly 200", async () => {
    expect((await target.control("/system/functions")).status).toBe(200);
  });
});

describe("what anybody may ask", () => {
  const open = async (url: string, init?: RequestInit) => (await fetch(url, { redirect: "manual", ...init })).status;

  test("functions", async () => {
    expect(await open(`${target.url}/function/public`, { method: "POST", body: "x" })).toBe(200);
  });

  test("functions, with a password that is the function's own matter", async () => {
    const headers = { authorization: "Basic bm90Om91cnM=" };
    expect(await open(`${target.url}/function/public`, { method: "POST", body: "x", headers })).toBe(200);
  });

  test("healthz", async () => expect(await open(`${target.url}/healthz`)).toBe(200));

  test("the root", async () => expect(await open(`${target.url}/`)).toBe(307));

  testNeeding(noMetrics).each(["/metrics", "/healthz"])("%s of the metrics' listener", async (path) => {
    expect(await open(target.metricsUrl + path)).toBe(200);
  });
});
