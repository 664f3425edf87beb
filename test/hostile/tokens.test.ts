import { createHmac, randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { exportSPKI, importJWK } from "jose";
import { eventually } from "../support/eventually.ts";
import { GuardedGateway } from "../support/guarded-gateway.ts";
import { TokenIssuer } from "../support/token-issuer.ts";

/** Tokens that are made up, and issuers that mean no good. */
let guarded: GuardedGateway;
let issuer: TokenIssuer;
let stranger: TokenIssuer;
/** The function that takes tokens of `issuer`. */
let api: string;
/** The one whose key is a shared one. */
let shared: string;
const SHARED = "a shared key of at least thirty-two bytes";

const forTokens = (url: string): Record<string, string> => ({
  auth: "jwt",
  "auth.issuer": issuer.issuer,
  "auth.audience": "api",
  "auth.jwks-url": url,
});

beforeAll(async () => {
  guarded = await GuardedGateway.open({ read_timeout: "5s" });
  [issuer, stranger] = await Promise.all([TokenIssuer.open(), TokenIssuer.open()]);
  await Promise.all([
    issuer.add("rsa", "RS256"),
    issuer.add("ec", "ES256"),
    stranger.add("rsa", "RS256"),
    stranger.add("ec", "ES256"),
  ]);
  await guarded.secret("shared", SHARED);
  api = guarded.deploy(forTokens(issuer.url));
  const { "auth.jwks-url": _url, ...others } = forTokens(issuer.url);
  shared = guarded.deploy({ ...others, "auth.secret": "shared", "auth.algorithms": "HS256" });
  await eventually("tokens are taken", async () => (await present(api, await issuer.sign("rsa"))) === 200);
  await eventually("the other is known", async () => (await present(shared, "x")) === 401);
});
afterAll(async () => {
  await guarded.close();
  await Promise.all([issuer.close(), stranger.close()]);
});
beforeEach(() => {
  guarded.reached.length = 0;
  guarded.provider.requests.length = 0;
});

const present = async (name: string, token: string) =>
  (await guarded.call(name, { headers: { authorization: `Bearer ${token}` } })).status;
const text = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const later = () => Math.floor(Date.now() / 1000) + 3600;
const claims = () => ({ iss: issuer.issuer, aud: "api", sub: "root", exp: later() });
const hs = (alg: "sha256" | "sha512", key: string | Buffer, head: object) => {
  const signed = `${text(head)}.${text(claims())}`;
  return `${signed}.${createHmac(alg, key).update(signed).digest("base64url")}`;
};
const pem = async () =>
  await exportSPKI((await importJWK(issuer.publicKey("rsa"), "RS256")) as Parameters<typeof exportSPKI>[0]);
const parts = async () => (await issuer.sign("rsa")).split(".") as [string, string, string];

test.each<[what: string, forge: () => string | Promise<string>]>([
  ["no signature, by alg none", () => `${text({ alg: "none" })}.${text(claims())}.`],
  ["none in another case, with a signature", () => `${text({ alg: "nOnE", kid: "rsa" })}.${text(claims())}.AAAA`],
  ["the public key as a shared one", async () => hs("sha256", await pem(), { alg: "HS256", kid: "rsa" })],
  [
    "the public key as JSON as a shared one",
    () => hs("sha256", JSON.stringify(issuer.publicKey("rsa")), { alg: "HS256", kid: "rsa" }),
  ],
  ["an empty key", () => hs("sha256", "", { alg: "HS256", kid: "rsa" })],
  ["a stranger's key under a known name", () => stranger.sign("rsa", { iss: issuer.issuer })],
  ["a stranger's key in its own head", () => stranger.sign("rsa", {}, { jwk: stranger.publicKey("rsa") })],
  ["an address of keys in its own head", () => stranger.sign("rsa", {}, { jku: stranger.url })],
  ["a certificate in its own head", () => stranger.sign("rsa", {}, { x5u: stranger.url, x5c: ["AAAA"] })],
  ["the name of another kind of key", () => issuer.sign("ec", {}, { kid: "rsa" })],
  ["a name that is a path", () => stranger.sign("rsa", {}, { kid: "../../../dev/null" })],
  [
    "an extension that must be understood",
    () => issuer.sign("rsa", {}, { crit: ["exp"], exp: 1 } as never).catch(() => "a.b.c"),
  ],
  [
    "an algorithm that is not allowed",
    () =>
      issuer.sign("rsa", {}).then((t) => `${text({ alg: "RS512", kid: "rsa" })}.${t.split(".").slice(1).join(".")}`),
  ],
  [
    "other claims under a good signature",
    async () => {
      const [head, , end] = await parts();
      return `${head}.${text(claims())}.${end}`;
    },
  ],
  [
    "a signature of zeros",
    async () => {
      const [head, body] = await parts();
      return `${head}.${body}.${Buffer.alloc(256).toString("base64url")}`;
    },
  ],
  [
    "an elliptic signature of zeros",
    async () => {
      const [head, body] = (await issuer.sign("ec")).split(".");
      return `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`;
    },
  ],
  ["five parts, as an encrypted one", async () => `${(await parts()).join(".")}.x.y`],
  ["claims that are no object", () => `${text({ alg: "RS256", kid: "rsa" })}.${text("[]")}.AAAA`],
  ["an end beyond all numbers", () => issuer.sign("rsa", { exp: "1e999" })],
  ["all audiences but ours", () => issuer.sign("rsa", { aud: ["API", "api ", "*"] })],
  ["an issuer that only begins like ours", () => issuer.sign("rsa", { iss: `${issuer.issuer}evil` })],
])("a token with %s is refused", async (_what, forge) => {
  expect(await present(api, await forge())).toBe(401);
  expect(guarded.reached).toEqual([]);
  expect(stranger.asked).toBe(0);
});

test.each<[what: string, forge: () => string | Promise<string>]>([
  ["another shared key", () => hs("sha256", "another key of at least thirty-two bytes", { alg: "HS256" })],
  ["a longer hash", () => hs("sha512", SHARED, { alg: "HS512" })],
  ["a public key's signature", () => issuer.sign("rsa")],
  ["the shared key and a part of it only", () => hs("sha256", SHARED.slice(0, 32), { alg: "HS256" })],
])("a token for a shared key with %s is refused", async (_what, forge) => {
  expect(await present(shared, await forge())).toBe(401);
  expect(await present(shared, hs("sha256", SHARED, { alg: "HS256" }))).toBe(200);
});

test("tokens as large as heads may be are refused without being read", async () => {
  const huge = `${text({ alg: "RS256", kid: "rsa" })}.${text({ ...claims(), more: "x".repeat(300_000) })}.AAAA`;
  const deep = `${text(`${"[".repeat(5000)}`)}.${text("[".repeat(5000))}.AAAA`;
  const statuses = await Promise.all(
    [huge, deep, ".".repeat(100_000), "a.".repeat(50_000)].map((token) => present(api, token)),
  );
  expect(statuses).toEqual([401, 401, 401, 401]);
});

test("tokens with keys that nobody knows have the issuer asked seldom", async () => {
  const before = issuer.asked;
  const forged = await Promise.all(
    Array.from({ length: 100 }, (_, i) => stranger.sign("rsa", {}, { kid: `key ${i}` })),
  );
  for (const status of await Promise.all(forged.map((token) => present(api, token)))) expect(status).toBe(401);
  expect(issuer.asked - before).toBeLessThanOrEqual(1);
});

test.each<[what: string, respond: (res: ServerResponse) => void]>([
  ["sends elsewhere", (res) => res.writeHead(302, { location: stranger.url }).end()],
  [
    "sends more than any set of keys",
    (res) => {
      res.on("error", () => {});
      for (let i = 0; i < 64; i++) res.write(" ".repeat(64 * 1024));
      res.end("{}");
    },
  ],
  ["sends something else", (res) => res.end("<html>")],
  ["sends a set that is none", (res) => res.end('{"keys":"all"}')],
  ["fails", (res) => res.writeHead(500).end()],
  [
    "breaks off",
    (res) => {
      res.writeHead(200, { "content-length": "100" });
      res.flushHeaders();
      res.write("{");
      setTimeout(() => res.destroy(), 20);
    },
  ],
  ["nests without end", (res) => res.end(`{"keys":${"[".repeat(50_000)}`)],
])("an issuer that %s closes the function", async (_what, respond) => {
  const bad = await TokenIssuer.open();
  bad.respond = respond;
  try {
    const name = guarded.deploy(forTokens(bad.url));
    expect(await present(name, await stranger.sign("rsa"))).toBe(503);
    expect([guarded.reached.length, stranger.asked]).toEqual([0, 0]);
  } finally {
    await bad.close();
  }
});

test("an issuer that never answers holds nobody up for long, and is asked once for all", async () => {
  const silent = await TokenIssuer.open();
  silent.respond = () => {};
  try {
    const name = guarded.deploy(forTokens(silent.url));
    const token = await issuer.sign("rsa");
    const statuses = await Promise.all(Array.from({ length: 20 }, () => present(name, token)));
    expect(new Set(statuses)).toEqual(new Set([503]));
    expect(silent.asked).toBeLessThanOrEqual(2);
  } finally {
    await silent.close();
  }
});

test("keys that an issuer gives for sharing, or that are too short, let nobody in", async () => {
  const careless = await TokenIssuer.open();
  careless.respond = (res) =>
    res.end(
      JSON.stringify({
        keys: [
          { kty: "oct", kid: "rsa", alg: "HS256", k: text(SHARED) },
          { kty: "RSA", kid: "short", n: text(randomBytes(64).toString("latin1")), e: "Aw" },
        ],
      }),
    );
  try {
    const name = guarded.deploy(forTokens(careless.url));
    expect(await present(name, hs("sha256", SHARED, { alg: "HS256", kid: "rsa" }))).toBe(401);
    expect(await present(name, `${text({ alg: "RS256", kid: "short" })}.${text(claims())}.AAAA`)).toBe(401);
  } finally {
    await careless.close();
  }
});

test("what a name in a token cannot be written as, is left out", async () => {
  const subjects = ["root\r\nX-Admin: 1", " root", "root ", "rööt", "", "x".repeat(300), "a\0b"];
  for (const sub of subjects) {
    expect(await present(api, await issuer.sign("rsa", { sub }))).toBe(200);
    const { headers } = guarded.reached.at(-1) as (typeof guarded.reached)[number];
    expect([headers["x-faaslane-subject"], headers["x-admin"], headers["x-faaslane-auth"]]).toEqual([
      undefined,
      undefined,
      "jwt",
    ]);
  }
});
