import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../../support/eventually.ts";
import { GuardedGateway } from "../../support/guarded-gateway.ts";
import { rawRequest } from "../../support/raw-http.ts";

let guarded: GuardedGateway;
beforeAll(async () => {
  guarded = await GuardedGateway.open();
});
afterAll(async () => {
  await guarded.close();
});

const PAGE = "https://app.test";
const asks = (method: string, headers?: string) => ({
  origin: PAGE,
  "access-control-request-method": method,
  ...(headers !== undefined && { "access-control-request-headers": headers }),
});

/** A body that does not say how long it is. */
function stream(bytes: number): RequestInit {
  const pieces = Array.from({ length: Math.ceil(bytes / 1000) }, () => Buffer.alloc(1000, "x"));
  return {
    method: "POST",
    body: Readable.toWeb(Readable.from(pieces)) as ReadableStream,
    duplex: "half",
  } as RequestInit;
}

const coded = (res: Response) => [res.status, res.headers.get("x-faaslane-error")];

/** Raw, as `fetch` neither sends an origin of its own nor an OPTIONS with these headers in all forms. */
async function preflight(path: string, headers: Record<string, string>) {
  const lines = Object.entries({ Host: "faas.test", ...headers, Connection: "close" }).map(([n, v]) => `${n}: ${v}`);
  const answer = await rawRequest(
    guarded.port,
    Buffer.from(`OPTIONS ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`),
  );
  return {
    status: answer?.status,
    text: [...(answer?.headers ?? [])].map(([n, v]) => `${n}: ${v.join(", ")}\r\n`.toLowerCase()).join(""),
  };
}

test("without a policy, a preflight is for the function to answer", async () => {
  const name = guarded.deploy({});
  guarded.reached.length = 0;
  const answer = await preflight(`/function/${name}`, asks("PUT"));
  expect([answer.status, guarded.reached[0]?.method]).toEqual([200, "OPTIONS"]);
  expect(answer.text).not.toContain("access-control-");
});

test("with one, the gateway answers it and wakes nobody", async () => {
  const name = guarded.deploy({ "cors.allow-origins": PAGE, "cors.allow-methods": "PUT", "cors.max-age": "1m" }, true);
  const answer = await preflight(`/function/${name}`, asks("PUT"));
  expect(answer.status).toBe(204);
  expect(answer.text).toContain(`access-control-allow-origin: ${PAGE}\r\n`);
  expect(answer.text).toContain("access-control-allow-methods: put\r\n");
  expect(answer.text).toContain("access-control-max-age: 60\r\n");
  expect(answer.text).toContain("vary: origin, access-control-request-method");
  expect((await preflight(`/async-function/${name}`, asks("PUT"))).status).toBe(204);
  const refused = await preflight(`/function/${name}`, asks("DELETE"));
  expect([refused.status, refused.text.includes("x-faaslane-error: origin_not_allowed")]).toEqual([403, true]);
  expect(guarded.wakes).toBe(0);
});

test("answers say who may read them, in the place of what the function says", async () => {
  const name = guarded.deploy({ "cors.allow-origins": PAGE, "cors.expose-headers": "X-Call-Id" });
  guarded.answerHeaders = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Credentials": "true",
    Vary: "Accept",
  };
  const cors = async (init: RequestInit) => {
    const { headers } = await guarded.call(name, init);
    return ["allow-origin", "allow-credentials", "expose-headers"]
      .map((n) => headers.get(`access-control-${n}`))
      .concat(headers.get("vary"));
  };
  expect(await cors({ headers: { origin: PAGE } })).toEqual([PAGE, null, "X-Call-Id", "Accept, Origin"]);
  expect(await cors({ headers: { origin: "https://evil.test" } })).toEqual([null, null, null, "Accept, Origin"]);
  expect(await cors({})).toEqual([null, null, null, "Accept, Origin"]);
  guarded.answerHeaders = {};
  const accepted = await guarded.accept(name, { headers: { origin: PAGE } });
  expect([accepted.status, accepted.headers.get("access-control-allow-origin")]).toEqual([202, PAGE]);
});

test("pages may read the platform's own answers too", async () => {
  const name = guarded.deploy({ "cors.allow-origins": PAGE, "limits.max-request-bytes": "10" });
  for (const call of [
    guarded.call(name, { method: "POST", body: "x".repeat(11), headers: { origin: PAGE } }),
    guarded.accept(name, { body: "x".repeat(11), headers: { origin: PAGE } }),
  ]) {
    const answer = await call;
    expect([...coded(answer), answer.headers.get("access-control-allow-origin")]).toEqual([413, "too_large", PAGE]);
  }
});

test("a body over the limit is refused before anybody is woken for it", async () => {
  const name = guarded.deploy({ "limits.max-request-bytes": "1k" }, true);
  const answer = await guarded.call(name, { method: "POST", body: "x".repeat(1001) });
  expect(coded(answer)).toEqual([413, "too_large"]);
  expect(await answer.text()).toBe(`the body is larger than function ${name}.openfaas-fn takes, which is 1000 bytes\n`);
  expect(coded(await guarded.accept(name, { body: "x".repeat(1001) }))).toEqual([413, "too_large"]);
  expect(coded(await guarded.accept(name, stream(2000)))).toEqual([413, "too_large"]);
  expect(guarded.wakes).toBe(0);
});

test("one that does not say how long it is reaches the function up to the limit, and not whole", async () => {
  const name = guarded.deploy({ "limits.max-request-bytes": "100k" });
  guarded.reached.length = 0;
  expect(coded(await guarded.call(name, stream(300_000)))).toEqual([413, "too_large"]);
  for (const { body, whole } of guarded.reached) expect([body.length <= 100_000, whole]).toEqual([true, false]);
  const fits = await guarded.call(name, stream(100_000));
  expect([fits.status, await fits.text(), guarded.reached.at(-1)?.body.length]).toEqual([200, "ok", 100_000]);
});

test("an answer over the limit is a 502, or broken off where it has begun", async () => {
  const name = guarded.deploy({ "limits.max-answer-bytes": "10k" });
  expect((await (await guarded.call(`${name}/bytes/10000`)).text()).length).toBe(10_000);
  expect((await (await guarded.call(`${name}/stream/10000`)).text()).length).toBe(10_000);
  expect(coded(await guarded.call(`${name}/bytes/10001`))).toEqual([502, "answer_too_large"]);
  const head = await guarded.call(`${name}/bytes/10001`, { method: "HEAD" });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, "10001"]);
  const begun = await guarded.call(`${name}/stream/500000`);
  expect(begun.status).toBe(200);
  await expect(begun.text()).rejects.toThrow();
});

test("calls over the rate are refused, and say when to come again", async () => {
  const name = guarded.deploy({ "rate-limit": "2/h" });
  const first = await guarded.call(name);
  expect([first.status, first.headers.get("ratelimit-policy"), first.headers.get("ratelimit")]).toEqual([
    200,
    '"calls";q=2;w=3600',
    '"calls";r=1;t=1800',
  ]);
  expect((await guarded.accept(name)).status).toBe(202);
  const third = await guarded.call(name);
  expect([...coded(third), third.headers.get("ratelimit")]).toEqual([429, "rate_limited", '"calls";r=0;t=3600']);
  expect(Number(third.headers.get("retry-after"))).toBeGreaterThan(1700);
  const accepted = await guarded.accept(name);
  expect([...coded(accepted), Number(accepted.headers.get("retry-after")) > 1700]).toEqual([429, "rate_limited", true]);
});

test("a call that was accepted is not counted again when it is made", async () => {
  const name = guarded.deploy({ "rate-limit": "1/h" });
  const accepted = await guarded.accept(name, { body: "later" });
  expect(accepted.status).toBe(202);
  await eventually("the call is made", () => guarded.reached.some(({ body }) => body === "later"));
});

test("what was counted stays when something else of the function changes", async () => {
  const name = guarded.deploy({ "rate-limit": "1/h" });
  expect((await guarded.call(name)).status).toBe(200);
  guarded.provider.put({ name, annotations: { "com.faaslane.rate-limit": "1/h" }, replicas: 2, generation: 2 });
  expect((await guarded.call(name)).status).toBe(429);
});

test("a policy that cannot be read closes the function, for any way to call it", async () => {
  const name = guarded.deploy({ "cors.allow-origins": "https://a.test/path", "rate-limit": "lots" });
  guarded.reached.length = 0;
  const answer = await guarded.call(name);
  expect(coded(answer)).toEqual([503, "policy_unreadable"]);
  expect(await answer.text()).toContain('annotations.com.faaslane.rate-limit: "lots" must be a rate');
  expect(coded(await guarded.accept(name))).toEqual([503, "policy_unreadable"]);
  expect((await preflight(`/function/${name}`, asks("GET"))).status).toBe(503);
  expect(guarded.reached).toEqual([]);
  guarded.change(name, {});
  await eventually("it opens again", async () => (await guarded.call(name)).status === 200);
});
