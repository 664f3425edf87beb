import { expect, test } from "@jest/globals";
import { eventually } from "../../support/eventually.ts";
import { type CallerSetup, storedCall, USER_AGENT } from "./setup.ts";

/** What the function gets, and what comes back from it. */
export function answersContract(setup: CallerSetup): void {
  test("the function gets the call as it was stored, and the gateway's headers", async () => {
    await setup.start();
    await setup.call({
      callId: "the call",
      method: "PUT",
      path: "/a%20b",
      query: "q=%31",
      headers: [
        ["Content-Type", "application/json"],
        ["X-Twice", "1"],
        ["X-Twice", "2"],
        ["X-Call-Id", "stale"],
        ["X-Start-Time", "1"],
        ["X-Forwarded-For", "203.0.113.9"],
        ["X-Forwarded-Host", "faas.example"],
        ["Content-Length", "999"],
        ["Connection", "close, X-Private"],
        ["X-Private", "hop"],
        ["Expect", "100-continue"],
        ["Host", "elsewhere"],
        ["X-Bad", "a\r\nInjected: 1"],
        ["Bad Name", "x"],
      ],
      body: Buffer.from('{"a":1}'),
    });
    const [got] = setup.site.received;
    expect(got).toMatchObject({ method: "PUT", url: "/a%20b?q=%31" });
    expect(got?.body.toString()).toBe('{"a":1}');
    const { "x-start-time": startTime, ...headers } = got?.headers ?? {};
    expect(headers).toEqual({
      "content-type": "application/json",
      "x-twice": "1, 2",
      "x-call-id": "the call",
      "x-forwarded-for": "203.0.113.9, 127.0.0.1",
      "x-forwarded-host": "faas.example",
      "user-agent": USER_AGENT,
      "content-length": "7",
      host: setup.site.host,
      connection: expect.any(String),
    });
    expect(Math.abs(Number(startTime) / 1e6 - Date.now())).toBeLessThan(60_000);
  });

  test("a stored User-Agent is kept; without a body the function gets none", async () => {
    await setup.start();
    await setup.call({ headers: [["user-agent", "curl/8"]] });
    expect(setup.site.received[0]).toMatchObject({
      url: "/",
      headers: { "user-agent": "curl/8", "content-length": "0" },
    });
  });

  test("a large body arrives whole", async () => {
    await setup.start();
    const body = Buffer.alloc(3_000_000, "0123456789abcdef-");
    await setup.call({ body });
    expect(setup.site.received[0]?.body.equals(body)).toBe(true);
  });

  test("the answer has the function's headers and those of the gateway", async () => {
    setup.site.answer = (_request, res) => {
      res.writeHead(201, [
        ["Content-Type", "text/x-result"],
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
        ["Connection", "X-Hop, keep-alive"],
        ["Date", "Sat, 01 Jan 2022 00:00:00 GMT"],
        ["Server-Timing", "own;dur=1"],
      ]);
      res.end("the result");
    };
    await setup.start();
    const { status, internal, headers, text } = await setup.answered({ callId: "mine" });
    expect({ status, internal, text }).toEqual({ status: 201, internal: false, text: "the result" });
    expect(headers).toMatchObject({
      "content-type": "text/x-result",
      "set-cookie": ["a=1", "b=2"],
      date: "Sat, 01 Jan 2022 00:00:00 GMT",
      "server-timing": "own;dur=1",
      "x-call-id": "mine",
      "x-start-time": setup.site.received[0]?.headers["x-start-time"],
      "x-served-by": "faaslane/test",
    });
  });

  test.each([
    ["plain text", [], "x", "text/plain; charset=utf-8"],
    ["whatever the request's", [["Content-Type", "text/css"]], "x", "text/plain; charset=utf-8"],
    ["of a page", [], "<!DOCTYPE html><p>x", "text/html; charset=utf-8"],
  ] as const)(
    "an answer without a type gets that of its content, and a date: %s",
    async (_rule, headers, text, type) => {
      setup.site.answer = (_request, res) => {
        res.sendDate = false;
        res.end(text);
      };
      await setup.start();
      const answer = await setup.answered({ headers });
      expect(answer.headers["content-type"]).toBe(type);
      expect(Math.abs(Date.parse(answer.headers.date as string) - Date.now())).toBeLessThan(60_000);
    },
  );

  test.each([200, 204, 301, 404, 418, 429, 500, 503])("status %i of the function is its own", async (status) => {
    setup.site.answer = (_request, res) => res.writeHead(status, { "retry-after": "7" }).end();
    await setup.start();
    const answer = await setup.answered();
    expect(answer).toMatchObject({ status, internal: false, headers: { "retry-after": "7" }, text: "" });
  });

  test("the body is read to its end when nobody wants it", async () => {
    setup.site.answer = (_request, res) => res.end(Buffer.alloc(2_000_000));
    await setup.start();
    const answer = await setup.caller.call(storedCall(), undefined, new AbortController().signal);
    expect(answer).toMatchObject({ kind: "answered", status: 200, result: { bytes: 0 } });
    await eventually("it counts as whole", () => setup.entry.meter.codes.get(200)?.count === 1);
  });

  test("an answer that comes piece by piece is gathered", async () => {
    setup.site.answer = async (_request, res) => {
      for (let piece = 0; piece < 20; piece++) {
        res.write(`${piece} `);
        await new Promise((resolve) => setImmediate(resolve));
      }
      res.end("end");
    };
    await setup.start();
    const expected = `${Array.from({ length: 20 }, (_, i) => `${i} `).join("")}end`;
    expect((await setup.answered()).text).toBe(expected);
  });

  test("a large result lies in a file that nobody else sees, and can be read again", async () => {
    const result = Buffer.alloc(5 * 1024 ** 2, "0123456789abcdef-");
    setup.site.answer = (_request, res) => res.end(result);
    await setup.start();
    const answer = await setup.answered();
    expect(answer.result.bytes).toBe(result.length);
    for (let reading = 0; reading < 2; reading++) {
      const chunks: Buffer[] = [];
      for await (const chunk of answer.result.body()) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).equals(result)).toBe(true);
    }
    expect(await setup.filesLeft()).toEqual([]);
    await answer.result.discard();
    await answer.result.discard();
  });

  test.each([
    ["is too large", { maxBytes: 500_000 }, "larger than 500000 bytes"],
    ["cannot be stored", { folder: "/nowhere/at/all" }, "it could not be stored (ENOENT)"],
  ])("of a result that %s there is the news, and the call goes to its end", async (_rule, keep, omitted) => {
    setup.site.answer = (_request, res) => res.end(Buffer.alloc(3_000_000));
    await setup.start();
    const { status, result } = await setup.answered({}, undefined, keep);
    expect({ status, bytes: result.bytes, omitted: result.omitted }).toEqual({ status: 200, bytes: 0, omitted });
    await eventually("it counts as whole", () => setup.entry.meter.codes.get(200)?.count === 1);
  });

  test("calls count as those of other callers do", async () => {
    await setup.start();
    await Promise.all(Array.from({ length: 5 }, () => setup.call()));
    const { meter, load } = setup.entry;
    await eventually("all have ended", () => meter.inFlight === 0 && load.inFlight === 0);
    expect([meter.started, meter.codes.get(200)?.count, load.read(performance.now()).started]).toEqual([5, 5, 5]);
  });

  test("headers of 200 KiB are taken, and what follows or precedes an answer is nobody's", async () => {
    setup.site.answer = (_request, res) => {
      res.writeInformation(103, { link: "</a>" });
      res.writeHead(200, { "x-large": "x".repeat(200 * 1024), trailer: "x-t" });
      res.addTrailers({ "x-t": "1" });
      res.end("body");
    };
    await setup.start();
    const { status, text, headers } = await setup.answered();
    expect([status, text, String(headers["x-large"]).length]).toEqual([200, "body", 200 * 1024]);
    expect(headers["x-t"]).toBeUndefined();
  });
}
