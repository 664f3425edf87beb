import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openIssuer } from "../../watchdog/auth/issuer.ts";
import { Discovery } from "./support/discovery.ts";
import { spawnWatchdog, startWatchdog, type TestWatchdog } from "./support/start-watchdog.ts";

const now = () => Math.floor(Date.now() / 1000);

describe("a function that asks for tokens", () => {
  let discovery: Discovery;
  let watchdog: TestWatchdog;
  beforeAll(async () => {
    discovery = await Discovery.open();
    await discovery.issuer.add("curve", "ES256");
    await discovery.issuer.add("edwards", "EdDSA");
    watchdog = await startWatchdog({ mode: "streaming", fprocess: "env", jwt_auth_debug: "true", ...discovery.env });
  });
  afterAll(async () => {
    await watchdog?.[Symbol.asyncDispose]();
    await discovery[Symbol.asyncDispose]();
  });
  const call = (token: string | undefined, headers: Record<string, string> = {}) =>
    fetch(watchdog.url, { headers: { ...headers, ...(token !== undefined && { Authorization: `Bearer ${token}` }) } });

  test("is called with one, and told what the check took", async () => {
    const answer = await call(await discovery.token(), { "x-auth-seconds": "forged" });
    expect(answer.status).toBe(200);
    expect((await answer.text()).match(/^Http_X_Auth_Seconds=.*$/gm)).toEqual([
      expect.stringMatching(/^Http_X_Auth_Seconds=\d+\.\d{6}$/),
    ]);
  });

  test("is not called without one", async () => {
    const answer = await call(undefined);
    expect([answer.status, answer.headers.get("www-authenticate"), answer.headers.get("x-openfaas-internal")]).toEqual([
      401,
      "Bearer realm=IAM function invoke",
      "faas-middleware",
    ]);
    expect(await answer.text()).toBe("no bearer token in Authorization\n");
    await watchdog.logged("Refused GET /: no bearer token");
  });

  test("answers probes, and counts refused calls", async () => {
    expect((await fetch(`${watchdog.url}/_/health`)).status).toBe(200);
    expect((await fetch(`${watchdog.url}/_/ready`)).status).toBe(200);
    await (await call("nonsense")).text();
    expect(await watchdog.metrics()).toMatch(/^http_requests_total\{code="401",method="get"\} [1-9]/m);
  });

  test.each<[what: string, claims: () => object, status: number, reason: string]>([
    ["another issuer", () => ({ iss: "https://other.test" }), 401, "another issuer"],
    ["another audience", () => ({ aud: "api" }), 401, "somebody else"],
    ["several audiences, one of them right", () => ({ aud: ["api", "https://issuer.test/"] }), 200, ""],
    ["no end", () => ({ exp: undefined }), 401, "does not expire"],
    ["an end in the past", () => ({ exp: now() - 5 }), 401, "is expired"],
    ["an end of this second", () => ({ exp: now() + 2 }), 200, ""],
    ["a beginning to come", () => ({ nbf: now() + 60 }), 401, "not valid yet"],
    ["no permissions", () => ({ function: undefined }), 403, "insufficient permissions\n"],
    ["empty permissions", () => ({ function: { permissions: [] } }), 403, "insufficient permissions\n"],
    ["permissions for all", () => ({ function: { permissions: ["*"] } }), 200, ""],
    ["permissions for the namespace", () => ({ function: { permissions: ["other:x", "ns:*"] } }), 200, ""],
    [
      "permissions for a part of the name",
      () => ({ function: { permissions: ["ns:gree"] } }),
      403,
      "insufficient permissions\n",
    ],
    [
      "permissions for a longer name",
      () => ({ function: { permissions: ["ns:greet2"] } }),
      403,
      "insufficient permissions\n",
    ],
    ["an audience of functions", () => ({ function: { permissions: ["*"], audience: ["ns:gr*t"] } }), 200, ""],
    [
      "an audience of others",
      () => ({ function: { permissions: ["*"], audience: ["ns:other"] } }),
      403,
      "insufficient permissions\n",
    ],
    ["an empty audience", () => ({ function: { permissions: ["*"], audience: [] } }), 200, ""],
  ])("a token with %s", async (_what, claims, status, reason) => {
    const answer = await call(await discovery.token(claims() as Record<string, unknown>));
    expect(answer.status).toBe(status);
    const text = await answer.text();
    expect(text).toContain(reason);
  });

  test.each(["curve", "edwards"])("a token signed on a %s is as good", async (kid) => {
    expect((await call(await discovery.token({}, kid))).status).toBe(200);
  });
});

test.each([
  ["classic", 401],
  ["serializing", 429],
])("%s: who calls a busy function without a token gets %i", async (mode, status) => {
  await using discovery = await Discovery.open();
  await using watchdog = await startWatchdog({ mode, fprocess: "sleep 5", max_inflight: "1", ...discovery.env });
  const headers = { Authorization: `Bearer ${await discovery.token()}` };
  const caller = new AbortController();
  const first = fetch(watchdog.url, { headers, signal: caller.signal }).catch(() => undefined);
  while (!/^http_requests_in_flight 1$/m.test(await watchdog.metrics())) await (await fetch(watchdog.url)).text();
  expect((await fetch(watchdog.url)).status).toBe(status);
  expect((await fetch(watchdog.url, { headers })).status).toBe(429);
  caller.abort();
  await first;
});

test("it ends when the issuer cannot be asked", async () => {
  const env = { jwt_auth: "1", jwt_discovery_url: "http://127.0.0.1:1/", OPENFAAS_NAME: "f", OPENFAAS_NAMESPACE: "ns" };
  await using watchdog = spawnWatchdog({ mode: "streaming", fprocess: "cat", ...env });
  expect(await watchdog.ended).toEqual({ code: 1, signal: null });
  expect(watchdog.log).toContain("http://127.0.0.1:1/: ");
});

test("a new key is asked for once, and not again for half a minute", async () => {
  await using discovery = await Discovery.open();
  const { issuer } = discovery;
  const documents: Record<string, () => unknown> = {
    about: () => ({ issuer: issuer.issuer, jwks_uri: "keys" }),
    keys: () => issuer.keys,
  };
  let asked = 0;
  let nowMs = 0;
  const opened = await openIssuer("about", {
    fetchJson: (url) => {
      asked++;
      return Promise.resolve(documents[url]?.());
    },
    print: () => {},
    now: () => nowMs,
  });
  expect([opened.name, asked, opened.key("one") !== undefined]).toEqual([issuer.issuer, 2, true]);
  await issuer.add("two", "RS256");
  issuer.forget("one");
  await opened.refresh();
  expect([asked, opened.key("two")]).toEqual([2, undefined]);
  nowMs = 30_000;
  await Promise.all([opened.refresh(), opened.refresh()]);
  expect([asked, opened.key("two") !== undefined, opened.key("one")]).toEqual([3, true, undefined]);
  documents.keys = () => Promise.reject(new Error("gone"));
  nowMs = 60_000;
  await opened.refresh();
  expect(opened.key("two")).toBeDefined();
});
