import { createHmac, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { matchesGlob } from "../../watchdog/auth/glob.ts";
import { rawRequest } from "../support/raw-http.ts";
import { Discovery } from "../watchdog/support/discovery.ts";
import { startWatchdog, type TestWatchdog } from "../watchdog/support/start-watchdog.ts";

let discovery: Discovery;
let watchdog: TestWatchdog;
beforeAll(async () => {
  discovery = await Discovery.open();
  watchdog = await startWatchdog({ mode: "inproc", inproc_handler: "./handler.mjs", ...discovery.env });
});
afterAll(async () => {
  await watchdog?.[Symbol.asyncDispose]();
  await discovery[Symbol.asyncDispose]();
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = () => ({
  iss: discovery.issuer.issuer,
  aud: discovery.issuer.issuer,
  exp: Math.floor(Date.now() / 1000) + 3600,
  function: { permissions: ["*"] },
});
const unsigned = (header: object, body: object = claims()) => `${encode({ kid: "one", ...header })}.${encode(body)}`;
const publicPem = () =>
  createPublicKey({ key: discovery.issuer.publicKey("one") as Record<string, string>, format: "jwk" })
    .export({ type: "spki", format: "pem" })
    .toString();

/** A token signed by a key that is not the issuer's. */
function stranger(header: object): string {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const text = unsigned({ alg: "RS256", ...header });
  return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
}

test.each<[attack: string, token: () => string | Promise<string>]>([
  ["no signature at all", () => `${unsigned({ alg: "none" })}.`],
  ["no algorithm, and a signature of nothing", () => `${unsigned({ alg: "none" })}.AA`],
  [
    "the public key as a shared secret",
    () => {
      const text = unsigned({ alg: "HS256" });
      return `${text}.${createHmac("sha256", publicPem()).update(text).digest("base64url")}`;
    },
  ],
  ["another's key under the issuer's name", () => stranger({})],
  ["another's key in the token", () => stranger({ jwk: { kty: "RSA" } })],
  ["a key that has yet to be found", () => stranger({ kid: "nobody", jku: "http://127.0.0.1:1/" })],
  ["a key of a prototype", () => stranger({ kid: "__proto__" })],
  ["an algorithm of a prototype", () => stranger({ alg: "constructor" })],
  ["an algorithm for other keys", () => stranger({ alg: "ES256" })],
  [
    "claims that were changed",
    async () => {
      const [head, , signature] = (await discovery.token({ function: {} })).split(".");
      return `${head}.${encode(claims())}.${signature}`;
    },
  ],
  ["a signature with bytes to spare", async () => `${await discovery.token({ aud: "api" })}AAAA`],
  ["an extension that must be understood", () => discovery.issuer.sign("one", claims(), { crit: ["b64"], b64: true })],
  ["permissions that are a text of a list", () => discovery.token({ function: { permissions: [["*"]] } })],
  ["a name that begins alike", () => discovery.token({ function: { permissions: ["ns:gre", "s:greet", ":"] } })],
  ["an end that is no number", () => discovery.token({ exp: "9999999999" }).catch(() => "refused.by.signer")],
  ["no JSON", () => "e30.bm8ganNvbg.AA"],
  ["half a megabyte", () => `${"a".repeat(500_000)}.b.c`],
  ["only dots", () => "."],
])("a token with %s does not open the function", async (_attack, token) => {
  const text = `GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${await token()}\r\n\r\n`;
  const answer = await rawRequest(watchdog.port, text);
  expect([401, 403]).toContain(answer?.status);
  expect(answer?.headers.get("x-openfaas-internal")).toEqual(["faas-middleware"]);
});

test("invented names of keys do not make the watchdog ask for each", async () => {
  const before = discovery.issuer.asked;
  for (let i = 0; i < 5; i++) {
    const answer = await fetch(watchdog.url, { headers: { Authorization: `Bearer ${stranger({ kid: `k${i}` })}` } });
    expect(answer.status).toBe(401);
    await answer.text();
  }
  expect(discovery.issuer.asked - before).toBeLessThanOrEqual(1);
});

test("a pattern of many stars takes no time to speak of", () => {
  const startedAt = performance.now();
  expect(matchesGlob("a".repeat(2_000), `${"*a".repeat(500)}*b`)).toBe(false);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

test("paths that lead to probes with a detour are calls, and need a token", async () => {
  for (const path of ["/_/health/", "/_//health", "/%5f/health", "/_/ready/../x", "/x/../_/health", "//_/health"]) {
    const answer = await rawRequest(watchdog.port, `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    expect([path, answer?.status]).toEqual([path, 401]);
  }
});
