import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { httpPollSource } from "../../events/sources/http-poll/http-poll-source.ts";
import { FakeSourceContext, type FakeSourceOptions, runSource } from "../support/events/source-context.ts";
import { eventually } from "../support/eventually.ts";

/** Asks more often than anybody can declare. */
const QUICK: typeof httpPollSource = {
  ...httpPollSource,
  run: (settings, context) => httpPollSource.run({ ...settings, intervalMs: 25 }, context),
};

let answer: (req: IncomingMessage, res: ServerResponse) => void;
let asked: IncomingMessage[];
let url: string;
const server = createServer((req, res) => {
  asked.push(req);
  answer(req, res);
});
const running: (() => Promise<void>)[] = [];

beforeEach(async () => {
  asked = [];
  answer = (_req, res) => res.end();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list`;
});
afterEach(async () => {
  for (const stop of running.splice(0)) await stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function poll(given: object, context = new FakeSourceContext(), options: FakeSourceOptions = {}) {
  const used = Object.keys(options).length > 0 ? new FakeSourceContext(options) : context;
  const { stop } = runSource(QUICK, { url, ...given }, used);
  running.push(stop);
  return { context: used, stop };
}

const json = (value: unknown) => (_req: IncomingMessage, res: ServerResponse) => {
  res.setHeader("content-type", "application/json").end(typeof value === "string" ? value : JSON.stringify(value));
};
const ids = ({ emitted }: FakeSourceContext) => emitted.map(({ event }) => event.attributes.id);

describe("an answer as a whole", () => {
  test("is an event when it has changed, also to what it was before", async () => {
    let body = "a";
    answer = (_req, res) => res.setHeader("content-type", "text/plain").end(body);
    const { context } = poll({ topic: "site" });
    for (const [count, next] of [
      [1, "b"],
      [2, "a"],
      [3, "a"],
    ] as const) {
      await context.waitForEvents(count);
      body = next;
    }
    const before = asked.length;
    await eventually("asked again", () => asked.length > before, 20_000);
    expect(context.emitted.map(({ event }) => event.data?.toString())).toEqual(["a", "b", "a"]);
    expect(new Set(ids(context)).size).toBe(3);
    expect(context.emitted[0]).toMatchObject({
      topic: "site",
      event: { attributes: { type: "com.faaslane.http-poll.changed", source: url, datacontenttype: "text/plain" } },
    });
  });

  test("is asked for with the conditions of the last one, which a restart remembers", async () => {
    answer = (req, res) => {
      if (req.headers["if-none-match"] === '"1"') res.writeHead(304).end();
      else res.setHeader("etag", '"1"').setHeader("last-modified", "Sat, 01 Aug 2026 00:00:00 GMT").end("x");
    };
    const { context, stop } = poll({});
    await eventually("asked twice", () => asked.length === 2, 20_000);
    await stop();
    const again = new FakeSourceContext({ cursor: context.savedCursor as string });
    poll({}, again);
    await eventually("asked again", () => again.connections > 0);
    expect(asked.at(-1)?.headers).toMatchObject({
      "if-none-match": '"1"',
      "if-modified-since": "Sat, 01 Aug 2026 00:00:00 GMT",
    });
    expect([...ids(context), ...ids(again)]).toHaveLength(1);
  });
});

describe("items of an answer", () => {
  test("are events once each, as they are written, the oldest first", async () => {
    answer = json('{"data":{"items":[{"id":12345678901234567890, "v":1.0},{"id":"a"}]}}');
    const { context } = poll({ items: "data.items", id: "id", order: "newest-first" });
    await context.waitForEvents(2);
    answer = json({ data: { items: [{ id: "b" }, { id: "a" }] } });
    await context.waitForEvents(3);
    expect(ids(context)).toEqual(["a", "12345678901234567890", "b"]);
    expect(context.emitted[1]?.event.data?.toString()).toBe('{"id":12345678901234567890, "v":1.0}');
    expect(context.emitted[1]).toMatchObject({
      once: "12345678901234567890",
      event: { attributes: { type: "com.faaslane.http-poll.item", subject: "12345678901234567890" } },
    });
  });

  test("that have changed are events again where a version tells", async () => {
    answer = json([{ id: 1, at: "x" }]);
    const { context } = poll({ items: ".", id: "id", version: "at" });
    await context.waitForEvents(1);
    answer = json([{ id: 1, at: "y" }]);
    await context.waitForEvents(2);
    expect(ids(context)).toEqual(["1/x", "1/y"]);
  });

  test("that were there at first are skipped if that is wished, and never those that come later", async () => {
    answer = json([{ id: 1 }]);
    const { context } = poll({ items: ".", id: "id", initial: "skip" });
    await eventually("seen", () => context.connections > 0);
    answer = json([{ id: 1 }, { id: 2 }]);
    await context.waitForEvents(1);
    expect(ids(context)).toEqual(["2"]);
  });

  test("are asked for from the last one on", async () => {
    answer = json([
      { id: 1, n: "x y" },
      { id: 2, n: "y&z" },
    ]);
    poll({ items: ".", id: "id", since: { query: "after", item: "n" } });
    await eventually("asked twice", () => asked.length === 2, 20_000);
    expect(asked.map((req) => req.url)).toEqual(["/list", "/list?after=y%26z"]);
  });

  test("that could not be stored are events once they can be", async () => {
    answer = json(Array.from({ length: 250 }, (_, id) => ({ id })));
    const context = new FakeSourceContext();
    let batches = 0;
    context.beforeStore = async () => {
      if (++batches === 2) throw new Error("full");
    };
    poll({ items: ".", id: "id" }, context);
    await context.waitForEvents(250, 20_000);
    expect(context.failures).toHaveLength(1);
    expect(new Set(ids(context)).size).toBe(250);
  });

  test.each([
    ["no list", { data: 1 }, "items: is missing"],
    ["a list that is none", { items: {} }, "must be a JSON array"],
    ["an item without an id", { items: [{ id: 1 }, {}] }, "item 1 has no field id"],
    ["an item that is no object", { items: [5] }, "item 0 has no field id"],
    ["no JSON", "<html>", "answer: "],
    ["too deep", `{"items":${"[".repeat(200)}${"]".repeat(200)}}`, "levels deep"],
    ["too many", { items: Array.from({ length: 4_001 }, (_, id) => ({ id })) }, "more than 4000 items"],
  ])("an answer with %s says so, and the next one is read", async (_what, value, problem) => {
    answer = json(value);
    const { context } = poll({ items: "items", id: "id" });
    await eventually("told", () => context.failures.length > 0);
    expect(String(context.failures[0])).toContain(problem);
    answer = json({ items: [{ id: 1 }] });
    await context.waitForEvents(1);
  });
});

test("secrets go into headers, and not into what is told", async () => {
  answer = (_req, res) => res.writeHead(401).end();
  const { context } = poll(
    { headers: { Authorization: { secret: "token", prefix: "Bearer " }, "X-Plain": "1" }, url: `${url}?q=1` },
    undefined,
    { secrets: { token: "hunter2hunter2\n" } },
  );
  await eventually("told", () => context.failures.length > 0);
  expect(asked[0]?.headers).toMatchObject({ authorization: "Bearer hunter2hunter2", "x-plain": "1" });
  expect(String(context.failures[0])).toBe(`Error: ${url} has answered with status 401`);
});

test.each<[what: string, given: object, options: FakeSourceOptions, reply: typeof answer, problem: RegExp]>([
  [
    "a private address that is not allowed",
    {},
    { targets: { private: false, allow: [], deny: [] } },
    json([]),
    /its address is not public/,
  ],
  [
    "a redirect",
    {},
    {},
    (_req, res) => res.writeHead(302, { location: "http://169.254.169.254/" }).end(),
    /status 302; redirects are not followed/,
  ],
  ["an answer that is too large", { maxBytes: 1_000 }, {}, (_req, res) => res.end(Buffer.alloc(100_000)), /max|size/i],
  [
    "an answer that breaks off",
    {},
    {},
    (_req, res) => void res.writeHead(200, { "content-length": "10" }).write("x", () => res.destroy()),
    /terminated|closed|aborted/i,
  ],
  ["a secret that is missing", { headers: { a: { secret: "none" } } }, {}, json([]), /secret none does not exist/],
])("%s is told", async (_what, given, options, reply, problem) => {
  answer = reply;
  const { context } = poll(given, undefined, { name: "p", ...options });
  await eventually("told", () => context.failures.length > 0);
  const [first] = context.failures as Error[];
  expect(`${first?.message} ${(first?.cause as Error | undefined)?.message}`).toMatch(problem);
  expect(context.emitted).toEqual([]);
});

test("a server that wants to be left alone is", async () => {
  answer = (_req, res) => res.writeHead(429, { "retry-after": "3600" }).end();
  const { context } = poll({});
  await eventually("told", () => context.failures.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(asked).toHaveLength(1);
});

test.each([
  [{ url: "ftp://host/" }, "url: must be a URL"],
  [{ url: "http://me:x@host/" }, "url: must be a URL"],
  [{ url: "http://host/", interval: "10ms" }, "interval: must be a duration"],
  [{ url: "http://host/", items: "data" }, "id: is required with items"],
  [{ url: "http://host/", version: "a" }, "version: is for answers with items"],
  [{ url: "http://host/", headers: { Host: "x" } }, "must be the name of a header that may be set"],
  [{ url: "http://host/", headers: { a: "b\r\nc: d" } }, "headers.a: must be a header's value"],
  [{ url: "http://host/", headers: { a: { secret: "../x" } } }, "DNS subdomain"],
])("declared as %j it is refused with %s", (given, message) => {
  const { error } = httpPollSource.settings.safeParse(given);
  const text = error?.issues
    .map(({ path, message: said, ...more }) => `${path.join(".")}: ${said} ${JSON.stringify(more)}`)
    .join("; ");
  expect(text).toContain(message);
});
