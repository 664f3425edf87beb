import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { expectFacts, type Row, request, TEXT } from "./facts.ts";
import { settings } from "./settings.ts";
import { ECHO, noCallbacks, noReflect, openTarget, REFLECT, type Target, unlessFaaslane } from "./target.ts";

/* Asynchronous calls: what a client sees of them, and what its receiver of callbacks gets. */

interface Callback {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const SLOW_MS = 90_000;

let target: Target;
let receiver: Server;
const received = new Map<string, Callback[]>();

beforeAll(async () => {
  receiver = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      const path = req.url as string;
      const callback = { method: req.method as string, headers: req.headers, body: Buffer.concat(chunks).toString() };
      received.set(path, [...(received.get(path) ?? []), callback]);
      res.end();
    });
  });
  // A gateway elsewhere has to reach it.
  await new Promise<void>((resolve) => receiver.listen(0, settings.url ? undefined : "127.0.0.1", resolve));
  target = await openTarget({ functions: ["later", "reflecting"] });
  await target.deploy({ service: "later", ...ECHO });
  await target.deploy({ service: "reflecting", ...REFLECT, annotations: { "com.openfaas.retry.attempts": "0" } });
}, 180_000);

afterAll(async () => {
  await target?.close();
  receiver.closeAllConnections();
  receiver.close();
});

const callbackUrl = (path: string) =>
  `http://${settings.callbackHost}:${(receiver.address() as AddressInfo).port}${path}`;

const submit = (path: string, init: RequestInit = {}) =>
  fetch(`${target.url}/async-function/${path}`, { method: "POST", redirect: "manual", ...init });

const callbackTo = (path: string) => eventually(`a callback to ${path}`, () => received.get(path)?.[0], 60_000, 20);

describe("a call that is taken", () => {
  test("is accepted with 202, an id, a time, and no body", async () => {
    const answer = await submit("later", { body: "x" });
    expect([answer.status, await answer.text()]).toEqual([202, ""]);
    expect(answer.headers.get("x-call-id")).toMatch(/^[\w-]+$/);
    expect(answer.headers.get("x-start-time")).toMatch(/^\d{19}$/);
    expect(answer.headers.get("x-served-by")).toMatch(/\//);
  });

  test.each(["later/", `later.${settings.namespace}`, "later/a/b?x=1"])("may be for %s", async (path) =>
    expect((await submit(path, { body: "x" })).status).toBe(202),
  );

  testNeeding(noCallbacks)(
    "is answered at its callback, with its id, status, name and duration",
    async () => {
      const headers = { "x-callback-url": callbackUrl("/done"), "content-type": "text/plain" };
      const answer = await submit(`later.${settings.namespace}`, { body: "hello", headers });
      const callback = await callbackTo("/done");
      expect(callback).toMatchObject({ method: "POST", body: "hello" });
      expect(callback.headers).toMatchObject({
        "x-call-id": answer.headers.get("x-call-id"),
        "x-function-status": "200",
        "x-function-name": expect.stringMatching(/^later\b/),
        "x-duration-seconds": expect.stringMatching(/^\d+\.\d+$/),
      });
    },
    SLOW_MS,
  );

  const echoed = unlessFaaslane({
    original: "gives it another id",
    why: "callers look for the id that they chose",
  });
  testNeeding(echoed)("keeps the id that its caller chose", async () => {
    const answer = await submit("later", { body: "x", headers: { "x-call-id": "chosen-by-caller" } });
    expect([answer.status, answer.headers.get("x-call-id")]).toEqual([202, "chosen-by-caller"]);
  });
});

describe("what the function gets", () => {
  testNeeding(noCallbacks ?? noReflect)(
    "is the method, path, query, headers and body that were sent",
    async () => {
      const headers = { "x-callback-url": callbackUrl("/seen"), "x-mine": "1", authorization: "Bearer mine" };
      await submit("reflecting/a/b?x=1&y=%20z", { body: "hello", headers });
      const { body, headers: sent } = await callbackTo("/seen");
      expect(sent).toMatchObject({ "content-type": "application/json", "x-multi": "one, two" });
      expect(JSON.parse(body)).toMatchObject({
        method: "POST",
        requestURI: "/a/b?x=1&y=%20z",
        body: "hello",
        headers: { "X-Mine": ["1"], Authorization: ["Bearer mine"], "X-Call-Id": [sent["x-call-id"]] },
      });
    },
    SLOW_MS,
  );

  testNeeding(noCallbacks ?? noReflect)(
    "and the callback tells the status that it answers",
    async () => {
      await submit("reflecting?status=404", { body: "x", headers: { "x-callback-url": callbackUrl("/failed") } });
      expect((await callbackTo("/failed")).headers).toMatchObject({ "x-function-status": "404" });
    },
    SLOW_MS,
  );

  const retries = unlessFaaslane({ original: "gives up at once, always", why: "Pro's annotations hold" });
  testNeeding(retries ?? noCallbacks ?? noReflect)(
    "once, where the annotation says that it is not repeated",
    async () => {
      await submit("reflecting?status=503", { body: "x", headers: { "x-callback-url": callbackUrl("/once") } });
      expect((await callbackTo("/once")).headers).toMatchObject({ "x-function-status": "503" });
      expect(received.get("/once")).toHaveLength(1);
    },
    SLOW_MS,
  );
});

describe("a call that is not taken", () => {
  test("has a callback that is no URL", async () => {
    const answer = await submit("later", { body: "x", headers: { "x-callback-url": "http://[::1" } });
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toBe("");
  });

  const unknown = unlessFaaslane({ original: 202, why: "a call that nobody will ever answer is told at once" });
  testNeeding(unknown)("is for a function that does not exist", async () => {
    expect((await submit("no-such-function", { body: "x" })).status).toBe(404);
  });

  const large = unlessFaaslane({ original: 500, why: "too large is a status of its own" });
  testNeeding(large)("is larger than the queue takes", async () => {
    // Announced, and not sent: the answer could come before the end of it.
    const row: Row = ["large", request("POST /async-function/later", ["Content-Length: 12582912"]), 413, TEXT, /bytes/];
    expectFacts(await target.ask(row), row);
  });

  const cancels = unlessFaaslane({ original: "cannot cancel calls", why: "Pro's route is there" });
  testNeeding(cancels)("any more is one that is cancelled: 202, and 404 for one that is not known", async () => {
    const answer = await submit("later", { body: "x" });
    const { authorization } = target;
    const cancel = (id: string) =>
      fetch(`${target.url}/async-function/${id}`, {
        method: "DELETE",
        headers: authorization ? { authorization } : {},
      });
    expect((await cancel(answer.headers.get("x-call-id") as string)).status).toBe(202);
    expect((await cancel("no-such-call")).status).toBe(404);
  });
});
