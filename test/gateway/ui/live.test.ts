import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { UiTopic } from "../../../contract/ui/stream.ts";
import { LiveStream, type TopicRows } from "../../../gateway/ui/live/live-stream.ts";
import { createLogger } from "../../../kit/log.ts";
import { eventually } from "../../support/eventually.ts";

/** What is told of a topic, as it is now. */
const now: Record<UiTopic, TopicRows> = {
  functions: { rows: {} },
  queue: { rows: {} },
  events: { rows: {} },
  platform: { rows: {} },
};
let asked = 0;
let stream: LiveStream;
let server: Server;
let refused: unknown;

beforeEach(async () => {
  asked = 0;
  refused = undefined;
  for (const topic of Object.keys(now) as UiTopic[]) now[topic] = { rows: {} };
  stream = new LiveStream({
    topics: {
      functions: () => {
        asked++;
        return now.functions;
      },
      queue: () => now.queue,
      events: () => Promise.reject(new Error("a secret")),
      platform: () => now.platform,
    },
    maxReaders: 2,
    everyMs: 10,
    now: () => 1,
    log: createLogger("silent"),
  });
  server = createServer((req, res) => {
    try {
      stream.add(res, (req.url as string).slice(1).split(",") as UiTopic[]);
    } catch (error) {
      refused = error;
      res.writeHead(429).end();
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(async () => {
  stream.close();
  server.closeAllConnections();
  server.close();
});

interface Heard {
  readonly answer: IncomingMessage;
  readonly events: { readonly name: string; readonly data: string }[];
}

async function listen(topics: string): Promise<Heard> {
  const request = get({ port: (server.address() as AddressInfo).port, path: `/${topics}` });
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  const heard: Heard = { answer, events: [] };
  let rest = "";
  answer.setEncoding("utf8").on("data", (text: string) => {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const name = /^event: (\w+)$/m.exec(block)?.[1];
      if (name) heard.events.push({ name, data: /^data: ?(.*)$/m.exec(block)?.[1] ?? "" });
    }
  });
  answer.on("error", () => {});
  return heard;
}

const last = ({ events }: Heard) => events.at(-1);

test("first all there is, then what changes and what is gone; nothing twice", async () => {
  now.functions = { rows: { a: { n: 1 }, b: { n: 1 } } };
  const heard = await listen("functions");
  await eventually("the snapshot", () => heard.events.length === 1);
  expect(JSON.parse(last(heard)?.data ?? "")).toEqual({
    topic: "functions",
    rows: { a: { n: 1 }, b: { n: 1 } },
    gone: [],
    now: 1,
  });
  const before = asked;
  await eventually("it is looked at again", () => asked > before + 3);
  expect(heard.events.map(({ name }) => name)).toEqual(["snapshot"]);
  now.functions = { rows: { a: { n: 2 } } };
  await eventually("the patch", () => heard.events.length === 2);
  expect([last(heard)?.name, JSON.parse(last(heard)?.data ?? "")]).toEqual([
    "patch",
    { topic: "functions", rows: { a: { n: 2 } }, gone: ["b"], now: 1 },
  ]);
});

test("a second reader gets all there is, though it is old news to the first", async () => {
  now.queue = { rows: { q: { waiting: 1 } } };
  const first = await listen("queue");
  await eventually("the first", () => first.events.length === 1);
  const second = await listen("queue");
  await eventually("the second", () => second.events.length === 1);
  expect(JSON.parse(last(second)?.data ?? "").rows).toEqual({ q: { waiting: 1 } });
});

test("a topic that cannot be told says so, without its reason, and the others go on", async () => {
  now.functions = { rows: { a: {} } };
  const heard = await listen("functions,events");
  await eventually("both", () => heard.events.length === 2);
  expect(heard.events.map(({ data }) => JSON.parse(data).problem)).toEqual([undefined, "cannot be told just now"]);
});

test("nothing is asked while nobody looks, and there are not too many who do", async () => {
  const [one, two] = [await listen("functions"), await listen("functions")];
  const third = await listen("functions");
  expect([third.answer.statusCode, (refused as Error).message]).toEqual([
    429,
    "more than 2 follow the dashboard already",
  ]);
  one.answer.destroy();
  two.answer.destroy();
  await eventually("both have left", () => stream.readers === 0);
  const before = asked;
  await stream.look();
  expect(asked).toBe(before);
});

test("a reader that is too slow is told that it has missed something, and then how it is now", async () => {
  const row = (n: number) => ({ n, text: "x".repeat(256 * 1024) });
  const rows = (n: number) => Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`f${at}`, row(n)]));
  const heard = await listen("functions");
  await eventually("the snapshot", () => heard.events.length === 1);
  heard.answer.pause();
  for (let n = 1; n <= 6; n++) {
    now.functions = { rows: rows(n) };
    const before = asked;
    await eventually("it is looked at", () => asked >= before + 2);
  }
  heard.answer.resume();
  await eventually("it has caught up", () => heard.events.some(({ name }) => name === "gap"), 20_000);
  await eventually(
    "with all of it",
    () => last(heard)?.name === "snapshot" && last(heard)?.data.includes('"n":6'),
    20_000,
  );
}, 60_000);
