import { createHmac } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:http2";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { GuardedGateway } from "../support/guarded-gateway.ts";
import { rawRequest } from "../support/raw-http.ts";

/** Those who want past the policy of a function, or want it to cost more than it is worth. */
let guarded: GuardedGateway;

beforeAll(async () => {
  guarded = await GuardedGateway.open({ read_timeout: "5s" });
  await guarded.secret("keys", "batch job-key");
  await guarded.secret("users", "ada:lovelace");
  await guarded.secret("hook", "signing key");
});
afterAll(async () => {
  await guarded.close();
});
beforeEach(() => {
  guarded.reached.length = 0;
  guarded.provider.requests.length = 0;
});

/** A request with these header lines, as they are. */
async function raw(name: string, lines: readonly string[], { method = "GET", body = "", prefix = "/function/" } = {}) {
  const head = [`${method} ${prefix}${name} HTTP/1.1`, "Host: faas.test", ...lines, "Connection: close"];
  return await rawRequest(guarded.port, Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`, "latin1"));
}

test("a header of credentials that is there twice is refused, whichever is right", async () => {
  const basic = guarded.deploy({ auth: "basic", "auth.secret": "users", "auth.forward": "true" });
  const key = guarded.deploy({ auth: "key", "auth.secret": "keys" });
  const right = `Authorization: Basic ${Buffer.from("ada:lovelace").toString("base64")}`;
  const cases: [string, string[]][] = [
    [basic, [right, "Authorization: Basic cm9vdDo="]],
    [basic, ["authorization: Basic cm9vdDo=", right]],
    [key, ["X-Api-Key: job-key", "x-api-key: other"]],
  ];
  for (const [name, lines] of cases) expect((await raw(name, lines))?.status).toBe(400);
  expect(guarded.reached).toEqual([]);
  expect((await raw(basic, [right]))?.status).toBe(200);
});

test.each([
  "Basic",
  "Basic ",
  "Basic !!!!",
  "Basic YWRh", // ada
  "Basic YWRhOg==", // ada:
  "Basic Og==", // :
  "Basic YWRhOmxvdmVsYWNlAA==", // ada:lovelace, and a zero
  "Bearer YWRhOmxvdmVsYWNl",
  "YWRhOmxvdmVsYWNl",
  `Basic ${"A".repeat(100_000)}`,
])("the login %.30j is refused", async (login) => {
  const name = guarded.deploy({ auth: "basic", "auth.secret": "users" });
  expect([401, 429]).toContain((await raw(name, [`Authorization: ${login}`]))?.status);
  expect(guarded.reached).toEqual([]);
});

test("guessing keys is slowed down, and the right one passes all the same", async () => {
  const name = guarded.deploy({ auth: "key", "auth.secret": "keys" });
  const call = (key: string) => guarded.call(name, { headers: { "x-api-key": key } });
  const statuses: number[] = [];
  for (let i = 0; i < 40; i++) statuses.push((await call(`guess ${i}`)).status);
  expect(new Set(statuses)).toContain(429);
  expect(statuses.filter((status) => status !== 401 && status !== 429)).toEqual([]);
  expect((await call("job-key")).status).toBe(200);
});

test.each(["X-Faaslane-Subject", "x_faaslane_subject", "X-Faaslane_Auth", "X-FAASLANE-CLAIMS", "x-faaslane-delivery"])(
  "nobody says by %s who he is, to functions with a policy and without",
  async (header) => {
    const open = guarded.deploy({});
    const limited = guarded.deploy({ "limits.max-request-bytes": "1k" });
    for (const name of [open, limited]) expect((await raw(name, [`${header}: root`]))?.status).toBe(200);
    expect(
      (await raw(open, [`${header}: root`, "Content-Length: 0"], { method: "POST", prefix: "/async-function/" }))
        ?.status,
    ).toBe(202);
    await eventually("all are made", () => guarded.reached.length === 3);
    for (const { rawHeaders } of guarded.reached)
      expect(rawHeaders.join("\n").toLowerCase().replaceAll("_", "-")).not.toMatch(/^x-faaslane/m);
  },
);

test("a flood of preflights wakes nobody and costs no place", async () => {
  const name = guarded.deploy({ "cors.allow-origins": "https://app.test", "rate-limit": "1/h" }, true);
  const ask = (origin: string, headers: string) =>
    raw(
      name,
      [`Origin: ${origin}`, "Access-Control-Request-Method: GET", `Access-Control-Request-Headers: ${headers}`],
      { method: "OPTIONS" },
    );
  const statuses = await Promise.all(
    Array.from(
      { length: 100 },
      async (_, i) =>
        (await ask(i % 2 ? "https://app.test" : `https://${i}.evil.test`, i % 3 ? "" : "x,".repeat(5000)))?.status,
    ),
  );
  expect(new Set(statuses)).toEqual(new Set([204, 403]));
  expect([guarded.wakes, guarded.reached.length]).toEqual([0, 0]);
});

test("a preflight that is none gets no way around the caller's check", async () => {
  const name = guarded.deploy({ "cors.allow-origins": "https://app.test", auth: "key", "auth.secret": "keys" });
  const statuses = await Promise.all([
    raw(name, ["Origin: https://app.test"], { method: "OPTIONS" }),
    raw(name, ["Access-Control-Request-Method: GET"], { method: "OPTIONS" }),
    raw(name, ["Origin: https://app.test", "Access-Control-Request-Method: GET"], { method: "POST" }),
    raw(name, ["Origin: https://app.test", "Access-Control-Request-Method: GET", "X-HTTP-Method-Override: OPTIONS"]),
  ]);
  expect(statuses.map((answer) => answer?.status)).toEqual([401, 401, 401, 401]);
  expect(guarded.reached).toEqual([]);
});

test.each(["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "X-Client-IP"])(
  "an address that is made up in %s gets no rate of its own",
  async (header) => {
    const name = guarded.deploy({ "rate-limit": "3/h" });
    const statuses: (number | undefined)[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await raw(name, [`${header}: 10.0.0.${i}`]))?.status);
    expect(statuses).toEqual([200, 200, 200, 429, 429, 429]);
  },
);

test("another spelling of a function's path has the same policy", async () => {
  const name = guarded.deploy({ auth: "key", "auth.secret": "keys" });
  for (const path of [
    `${name}.openfaas-fn`,
    `${name}/`,
    `${name}/a/b`,
    `${name}?x=1`,
    `${name};a=b`,
    `%66${name.slice(1)}`,
    `./${name}`,
    `/${name}`,
  ]) {
    expect((await raw(path, []))?.status).not.toBe(200);
    expect((await raw(path, ["Content-Length: 0"], { method: "POST", prefix: "/async-function/" }))?.status).not.toBe(
      202,
    );
  }
  expect(guarded.reached).toEqual([]);
});

test("over HTTP/2 the same policy holds", async () => {
  const name = guarded.deploy({ auth: "key", "auth.secret": "keys", "limits.max-request-bytes": "10" });
  const session = connect(guarded.url);
  const ask = async (headers: Record<string, string>, body: string) => {
    const stream = session.request({ ":method": "POST", ":path": `/function/${name}`, ...headers });
    stream.on("error", () => {});
    stream.end(body);
    const [answer] = (await once(stream, "response")) as [{ ":status"?: number }];
    stream.resume();
    return answer[":status"];
  };
  const key = { "x-api-key": "job-key" };
  const attempts = [
    ask({}, ""),
    ask({ "x-faaslane-subject": "batch" }, ""),
    ask(key, "x".repeat(11)),
    ask(key, "fits"),
  ];
  expect(await Promise.all(attempts)).toEqual([401, 401, 413, 200]);
  session.destroy();
});

test("an upgrade has to pass the policy too", async () => {
  const name = guarded.deploy({ auth: "key", "auth.secret": "keys" });
  const answer = await rawRequest(
    guarded.port,
    `GET /function/${name} HTTP/1.1\r\nHost: faas.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
  );
  expect([answer?.status, guarded.reached.length]).toEqual([401, 0]);
});

test("a body that is longer than it said, or never ends, does not get past its signature", async () => {
  const name = guarded.deploy({ auth: "hmac", "auth.secret": "hook" });
  const signature = `X-Hub-Signature-256: sha256=${createHmac("sha256", "signing key").update("good").digest("hex")}`;
  const post = (lines: string[], body: string) => raw(name, [signature, ...lines], { method: "POST", body });
  expect((await post(["Transfer-Encoding: chunked"], "4\r\ngood\r\n4\r\nevil\r\n0\r\n\r\n"))?.status).toBe(401);
  await post(["Transfer-Encoding: chunked"], "4\r\ngood\r\n").catch(() => undefined);
  const large = await post(["Transfer-Encoding: chunked"], `200000\r\n${"x".repeat(0x200000)}\r\n0\r\n\r\n`).catch(
    () => undefined,
  );
  expect([413, undefined]).toContain(large?.status);
  expect(guarded.reached).toEqual([]);
  await post(["Content-Length: 4"], "goodevil");
  expect((await post(["Content-Length: 4"], "good"))?.status).toBe(200);
  for (const { body } of guarded.reached) expect(body).toBe("good");
});

test.each([
  "sha256=",
  "sha1=da39a3ee5e6b4b0d3255bfef95601890afd80709",
  `sha256=${"0".repeat(64)}`,
  `sha256=${"0".repeat(63)}`,
  `sha256=${"f".repeat(100_000)}`,
  `sha256=${createHmac("sha256", "").update("").digest("hex")}`,
])("the signature %.30j is refused", async (signature) => {
  const name = guarded.deploy({ auth: "hmac", "auth.secret": "hook" });
  expect((await raw(name, [`X-Hub-Signature-256: ${signature}`]))?.status).toBe(401);
  expect(guarded.reached).toEqual([]);
});
