import { createHash, createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { exportSPKI, importJWK, SignJWT } from "jose";
import { GatewayCaller } from "../../../gateway/async/worker/gateway-caller.ts";
import { proveDelivery } from "../../../gateway/core/delivery-proof.ts";
import { storedCall } from "../../contracts/function-caller-contract.ts";
import { eventually } from "../../support/eventually.ts";
import { GuardedGateway } from "../../support/guarded-gateway.ts";
import { TokenIssuer } from "../../support/token-issuer.ts";

const platform = { user: "admin", password: "of the platform" };
let guarded: GuardedGateway;
let issuer: TokenIssuer;
beforeAll(async () => {
  guarded = await GuardedGateway.open({}, platform);
  issuer = await TokenIssuer.open();
  await Promise.all([issuer.add("rsa", "RS256"), issuer.add("ec", "ES256"), issuer.add("ed", "EdDSA")]);
});
afterAll(async () => {
  await guarded.close();
  await issuer.close();
});

const coded = (res: Response) => [res.status, res.headers.get("x-faaslane-error")];
const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
/** What the function that was called last was told of its caller. */
function told() {
  const { headers } = guarded.reached.at(-1) as (typeof guarded.reached)[number];
  return Object.fromEntries(["auth", "subject", "claims"].map((name) => [name, headers[`x-faaslane-${name}`]]));
}
const lastHeaders = () => guarded.reached.at(-1)?.headers ?? {};

test("users and passwords are those of the secret, which may change", async () => {
  await guarded.secret(
    "users",
    `# who may\nada:love lace:1\ngrace:sha256:${createHash("sha256").update("hopper").digest("hex")}\n`,
  );
  const name = guarded.deploy({ auth: "basic", "auth.secret": "users" });
  const withLogin = (text: string) => guarded.call(name, { headers: { authorization: basic(text) } });
  const none = await guarded.call(name);
  expect([...coded(none), none.headers.get("www-authenticate")]).toEqual([
    401,
    "unauthorized",
    `Basic realm="${name}.openfaas-fn", charset="UTF-8"`,
  ]);
  expect(coded(await withLogin("ada:wrong"))).toEqual([401, "unauthorized"]);
  expect((await withLogin("ada:love lace:1")).status).toBe(200);
  expect([told(), lastHeaders().authorization]).toEqual([{ auth: "basic", subject: "ada" }, undefined]);
  expect((await withLogin("grace:hopper")).status).toBe(200);
  expect(told().subject).toBe("grace");
  await guarded.secret("users", "ada:new\n");
  await eventually("the new password holds", async () => (await withLogin("ada:new")).status === 200, 10_000, 500);
  expect(coded(await withLogin("ada:love lace:1"))).toEqual([401, "unauthorized"]);
});

test("keys have a name, and travel in the header that the function wants", async () => {
  await guarded.secret("keys", "alone\nbatch job-key\n");
  const plain = guarded.deploy({ auth: "key", "auth.secret": "keys" });
  const bearer = guarded.deploy({
    auth: "key",
    "auth.secret": "keys",
    "auth.header": "Authorization",
    "auth.forward": "true",
  });
  expect((await guarded.call(plain, { headers: { "x-api-key": "job-key" } })).status).toBe(200);
  expect([told(), lastHeaders()["x-api-key"]]).toEqual([{ auth: "key", subject: "batch" }, undefined]);
  expect((await guarded.call(plain, { headers: { "x-api-key": "alone" } })).status).toBe(200);
  expect(told()).toEqual({ auth: "key" });
  for (const wrong of ["batch", "batch job-key", "Bearer alone"]) {
    expect(coded(await guarded.call(plain, { headers: { "x-api-key": wrong } }))).toEqual([401, "unauthorized"]);
  }
  expect((await guarded.call(bearer, { headers: { authorization: "bearer alone" } })).status).toBe(200);
  expect(lastHeaders().authorization).toBe("bearer alone");
  expect(coded(await guarded.call(bearer, { headers: { authorization: "alone" } }))).toEqual([401, "unauthorized"]);
});

const jwt = (settings: Record<string, string> = {}) => ({
  auth: "jwt",
  "auth.issuer": issuer.issuer,
  "auth.audience": "api, other",
  "auth.jwks-url": issuer.url,
  ...settings,
});

test.each(["rsa", "ec", "ed"])("a token that is signed with the key %s is taken", async (kid) => {
  const name = guarded.deploy(jwt());
  const token = await issuer.sign(kid, { scope: "all" });
  expect((await guarded.call(name, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
  const { auth, subject, claims } = told();
  expect([auth, subject, lastHeaders().authorization]).toEqual(["jwt", "ada", undefined]);
  expect(JSON.parse(Buffer.from(String(claims), "base64url").toString())).toMatchObject({ sub: "ada", scope: "all" });
});

test.each<[what: string, claims: () => Record<string, unknown>, status: number]>([
  ["another issuer", () => ({ iss: "https://evil.test/" }), 401],
  ["no issuer", () => ({ iss: undefined }), 401],
  ["another audience", () => ({ aud: ["web"] }), 401],
  ["one audience of several", () => ({ aud: ["web", "other"] }), 200],
  ["no end", () => ({ exp: undefined }), 401],
  ["an end that has passed", () => ({ exp: Date.now() / 1000 - 60 }), 401],
  ["an end within the difference of clocks", () => ({ exp: Date.now() / 1000 - 5 }), 200],
  ["a beginning to come", () => ({ nbf: Date.now() / 1000 + 120 }), 401],
  ["an end that is text", () => ({ exp: "later" }), 401],
])("a token with %s", async (_what, claims, status) => {
  const name = guarded.deploy(jwt());
  const headers = { authorization: `Bearer ${await issuer.sign("ec", claims())}` };
  const answer = await guarded.call(name, { headers });
  expect(answer.status).toBe(status);
  if (status === 401)
    expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer realm=".*", error="invalid_token"/);
});

test("keys of tokens may also be in a secret: shared, in PEM, or a set", async () => {
  const shared = "a shared key of at least thirty-two bytes";
  await guarded.secret("shared", `${shared}\n`);
  await guarded.secret("set", JSON.stringify(issuer.keys));
  await guarded.secret(
    "pem",
    await exportSPKI((await importJWK(issuer.publicKey("rsa"), "RS256")) as Parameters<typeof exportSPKI>[0]),
  );
  const inSecret = (secret: string, algorithms: string) => {
    const { "auth.jwks-url": _url, ...others } = jwt();
    return guarded.deploy({ ...others, "auth.secret": secret, "auth.algorithms": algorithms });
  };
  const hs256 = await new SignJWT({ iss: issuer.issuer, aud: "api", exp: Date.now() / 1000 + 60 })
    .setProtectedHeader({ alg: "HS256" })
    .sign(Buffer.from(shared));
  const cases: [string, string, string, number][] = [
    ["shared", "HS256", hs256, 200],
    ["set", "ES256,EdDSA", await issuer.sign("ed"), 200],
    ["set", "ES256,EdDSA", await issuer.sign("rsa"), 401],
    ["pem", "RS256", await issuer.sign("rsa"), 200],
    ["pem", "RS256,ES256", await issuer.sign("ec"), 401],
    ["pem", "HS256", hs256, 503],
  ];
  for (const [secret, algorithms, token, status] of cases) {
    const headers = { authorization: `Bearer ${token}` };
    expect([secret, algorithms, (await guarded.call(inSecret(secret, algorithms), { headers })).status]).toEqual([
      secret,
      algorithms,
      status,
    ]);
  }
});

const sha256 = (key: string, text: string) => createHmac("sha256", key).update(text).digest("hex");

test("the signature of a body is checked before a sleeping function is woken", async () => {
  await guarded.secret("hook", "old secret\nnew secret\n");
  const asleep = guarded.deploy({ auth: "hmac", "auth.secret": "hook" }, true);
  const name = guarded.deploy({ auth: "hmac", "auth.secret": "hook" });
  const body = '{"event":"push"}';
  const send = (to: string, signature: string | undefined, sent = body) =>
    guarded.call(to, {
      method: "POST",
      body: sent,
      headers: signature === undefined ? {} : { "x-hub-signature-256": signature },
    });
  expect(coded(await send(asleep, undefined))).toEqual([401, "unauthorized"]);
  expect(coded(await send(asleep, `sha256=${sha256("wrong", body)}`))).toEqual([401, "unauthorized"]);
  expect(coded(await send(asleep, `sha256=${sha256("old secret", body)}`, `${body} `))).toEqual([401, "unauthorized"]);
  expect(guarded.wakes).toBe(0);
  for (const key of ["old secret", "new secret"])
    expect((await send(name, `sha256=${sha256(key, body)}`)).status).toBe(200);
  expect([guarded.reached.at(-1)?.body, told().auth]).toEqual([body, "hmac"]);
  const empty = await guarded.call(name, { headers: { "x-hub-signature-256": `sha256=${sha256("new secret", "")}` } });
  expect(empty.status).toBe(200);
  expect(coded(await send(name, undefined, "x".repeat(1024 ** 2 + 1)))).toEqual([413, "too_large"]);
  const large = "y".repeat(1024 ** 2);
  expect((await send(name, `sha256=${sha256("old secret", large)}`, large)).status).toBe(200);
  expect(guarded.reached.at(-1)?.body).toBe(large);
});

test("a signature with a time is good for a while", async () => {
  await guarded.secret("stripe", "new secret\n");
  const name = guarded.deploy({
    auth: "hmac",
    "auth.secret": "stripe",
    "auth.format": "timestamped",
    "auth.header": "Stripe-Signature",
    "auth.tolerance": "1m",
  });
  const send = (seconds: number, key = "new secret", extra = "") => {
    const signature = `t=${seconds},v1=${sha256(key, `${seconds}.hello`)}${extra}`;
    return guarded.call(name, { method: "POST", body: "hello", headers: { "stripe-signature": signature } });
  };
  const now = Math.floor(Date.now() / 1000);
  expect((await send(now)).status).toBe(200);
  expect((await send(now - 30, "new secret", `,v1=${"0".repeat(64)},v0=x`)).status).toBe(200);
  expect(coded(await send(now - 120))).toEqual([401, "unauthorized"]);
  expect(coded(await send(now + 120))).toEqual([401, "unauthorized"]);
  expect(coded(await send(now, "wrong"))).toEqual([401, "unauthorized"]);
  expect(coded(await send(now, "new secret", `,t=${now}`))).toEqual([401, "unauthorized"]);
});

test("asynchronous calls are checked when they are accepted, and the function learns of whom", async () => {
  await guarded.secret("keys", "batch job-key\n");
  const name = guarded.deploy({ auth: "key", "auth.secret": "keys", "rate-limit": "2/h; by=identity" });
  expect(coded(await guarded.accept(name, { body: "no" }))).toEqual([401, "unauthorized"]);
  const headers = { "x-api-key": "job-key", "x-faaslane-subject": "root" };
  expect((await guarded.accept(name, { body: "by key", headers })).status).toBe(202);
  const made = await eventually("it is made", () => guarded.reached.find(({ body }) => body === "by key"));
  expect([made.headers["x-faaslane-auth"], made.headers["x-faaslane-subject"], made.headers["x-api-key"]]).toEqual([
    "key",
    "batch",
    undefined,
  ]);
  expect((await guarded.call(name, { headers })).status).toBe(200);
  expect(coded(await guarded.call(name, { headers }))).toEqual([429, "rate_limited"]);
  await guarded.secret("other-hook", "signing");
  const signed = guarded.deploy({ auth: "hmac", "auth.secret": "other-hook" });
  expect(coded(await guarded.accept(signed, { body: "x" }))).toEqual([401, "unauthorized"]);
  const signature = { "x-hub-signature-256": `sha256=${sha256("signing", "signed")}` };
  expect((await guarded.accept(signed, { body: "signed", headers: signature })).status).toBe(202);
  await eventually("the signed one is made", () => guarded.reached.find(({ body }) => body === "signed"));
});

test("an idempotency key stands for a call of one caller, also where the function does not get the credentials", async () => {
  await guarded.secret("several", "one first\ntwo second\nthird\nfourth\n");
  await guarded.secret("logins", "one:first\ntwo:second\n");
  const byKey = guarded.deploy({ auth: "key", "auth.secret": "several" });
  const byLogin = guarded.deploy({ auth: "basic", "auth.secret": "logins" });
  const send = async (name: string, credentials: Record<string, string>) =>
    (await guarded.accept(name, { body: "pay", headers: { "x-idempotency-key": `order of ${name}`, ...credentials } }))
      .status;
  const key = (value: string) => ({ "x-api-key": value });
  const login = (value: string) => ({ authorization: basic(value) });
  expect(await send(byKey, key("first"))).toBe(202);
  expect(await send(byKey, key("first"))).toBe(202);
  for (const other of ["second", "third"]) expect(await send(byKey, key(other))).toBe(422);
  const plain = guarded.deploy({ auth: "key", "auth.secret": "several" });
  expect([await send(plain, key("third")), await send(plain, key("fourth"))]).toEqual([202, 422]);
  expect([await send(byLogin, login("one:first")), await send(byLogin, login("two:second"))]).toEqual([202, 422]);
});

test("a queue worker with the platform's password brings calls that were accepted before", async () => {
  await guarded.secret("keys", "batch job-key\n");
  const name = guarded.deploy({ auth: "key", "auth.secret": "keys" });
  const proof = (password = platform, seconds = 0, callId = "call-1") =>
    proveDelivery({ callId, function: `${name}.openfaas-fn` }, password, Date.now() + seconds * 1000);
  const bring = (delivery: string) =>
    guarded.call(name, {
      headers: { "x-call-id": "call-1", "x-faaslane-delivery": delivery, "x-faaslane-subject": "batch" },
    });
  expect((await bring(proof())).status).toBe(200);
  expect([told().subject, lastHeaders()["x-faaslane-delivery"]]).toEqual(["batch", undefined]);
  const wrong = [
    proof({ ...platform, password: "guessed" }),
    proof(platform, -400),
    proof(platform, 0, "call-2"),
    "t=1,v1=x",
  ];
  for (const delivery of wrong) expect(coded(await bring(delivery))).toEqual([401, "unauthorized"]);
});

test("the caller of stored calls shows that password, and nobody without it is believed", async () => {
  await guarded.secret("keys", "batch job-key\n");
  const name = guarded.deploy({ auth: "key", "auth.secret": "keys", "rate-limit": "1/h; by=all" });
  const make = async (credentials: typeof platform | undefined) => {
    const gatewayUrl = new URL(guarded.url);
    const caller = new GatewayCaller({
      gatewayUrl,
      connections: 1,
      timeLimit: () => 20_000,
      userAgent: "w",
      credentials,
    });
    const call = storedCall({ function: name, headers: [["X-Faaslane-Subject", "batch"]] });
    const answer = await caller.call(call, undefined, new AbortController().signal);
    await caller.close();
    return answer;
  };
  for (let i = 0; i < 3; i++) expect(await make(platform)).toMatchObject({ kind: "answered", status: 200 });
  expect(told().subject).toBe("batch");
  expect(await make({ ...platform, password: "guessed" })).toMatchObject({ status: 401 });
  expect(await make(undefined)).toMatchObject({ status: 429 });
});

test("without its secret a function is closed, and strangers are not told why", async () => {
  const name = guarded.deploy({ auth: "key", "auth.secret": "nowhere" });
  const answer = await guarded.call(name, { headers: { "x-api-key": "x" } });
  expect([...coded(answer), answer.headers.get("retry-after")]).toEqual([503, "auth_unavailable", "1"]);
  expect(await answer.text()).toBe(`callers of function ${name}.openfaas-fn cannot be told apart now\n`);
  await guarded.secret("nowhere", "x");
  await eventually(
    "it opens",
    async () => (await guarded.call(name, { headers: { "x-api-key": "x" } })).status === 200,
  );
});
