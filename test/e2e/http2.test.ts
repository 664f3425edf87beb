import { type ClientHttp2Session, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { deployStreaming } from "../support/switching.ts";

/** Clients that speak HTTP/2 with prior knowledge, as ingresses and gRPC-web proxies do. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let session: ClientHttp2Session;
beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path });
  await deployStreaming(platform, "st");
  await eventually("the function answers", async () => (await fetch(`${platform.url}/function/st`)).ok, 30_000, 100);
  session = connect(platform.url);
  session.on("error", () => {});
}, 60_000);
afterAll(async () => {
  session.destroy();
  await platform.stop();
  await folder.remove();
});

interface Answer {
  headers: IncomingHttpHeaders;
  trailers: IncomingHttpHeaders;
  informed: IncomingHttpHeaders[];
  text: string;
  bytes: number;
  ended: boolean;
}

function call(headers: OutgoingHttpHeaders, body?: string | number, trailers?: OutgoingHttpHeaders): Answer {
  const stream = session.request(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
  const answer: Answer = { headers: {}, trailers: {}, informed: [], text: "", bytes: 0, ended: false };
  stream.on("headers", (informed) => answer.informed.push(informed));
  stream.on("response", (given) => Object.assign(answer.headers, given));
  stream.on("trailers", (given) => Object.assign(answer.trailers, given));
  stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}));
  stream.on("data", (piece: Buffer) => {
    answer.bytes += piece.length;
    if (answer.bytes < 100_000) answer.text += piece;
  });
  stream.on("error", () => {});
  stream.on("close", () => {
    answer.ended = true;
  });
  if (typeof body === "string") stream.end(body);
  else if (body !== undefined) {
    let left = body;
    const more = () => {
      while (left > 0) {
        left -= 65_536;
        if (!stream.write(Buffer.alloc(65_536))) return void stream.once("drain", more);
      }
      stream.end();
    };
    more();
  }
  return answer;
}

async function whole(answer: Answer): Promise<Answer> {
  await eventually("the answer is whole", () => answer.ended, 30_000);
  return answer;
}

test("a function is called, and told of the caller as by HTTP/1.1", async () => {
  const { headers, text } = await whole(call({ ":path": "/function/st/a?b=1" }));
  expect([headers[":status"], text]).toEqual([200, "GET /a?b=1 0"]);
  expect(headers["x-call-id"]).toMatch(/./);
  expect((await whole(call({ ":path": "/function/st", ":method": "POST" }, "hello"))).text).toBe("POST / 5");
});

test("a hundred calls at once share a connection", async () => {
  const answers = Array.from({ length: 100 }, (_, index) => call({ ":path": `/function/st/${index}` }));
  for (const [index, answer] of answers.entries()) expect((await whole(answer)).text).toBe(`GET /${index} 0`);
});

test("trailers and interim answers pass", async () => {
  const hinted = await whole(call({ ":path": "/function/st/hints" }));
  expect(hinted.text).toBe("hinted");
  expect(hinted.informed.map((informed) => [informed[":status"], informed.link])).toEqual([
    [102, undefined],
    [103, "</style.css>; rel=preload"],
  ]);
  const summed = await whole(
    call({ ":path": "/function/st/trailers", ":method": "POST", te: "trailers", trailer: "x-up" }, "body", {
      "x-up": "1",
    }),
  );
  expect([summed.text, summed.trailers["x-sum"]]).toEqual(["body", '{"x-up":"1"}']);
});

test("events come one by one", async () => {
  const events = call({ ":path": "/function/st/events?id=h2" });
  await eventually("the head", () => Number(events.headers[":status"]) === 200);
  for (const text of ["one", "two"]) {
    await whole(call({ ":path": `/function/st/next?id=h2&text=${text}` }));
    await eventually("the event", () => events.text.endsWith(`data: ${text}\n\n`));
  }
  await whole(call({ ":path": "/function/st/done?id=h2" }));
  await whole(events);
});

test("large bodies go both ways", async () => {
  const up = await whole(call({ ":path": "/function/st", ":method": "PUT" }, 64 * 1024 * 1024));
  expect(up.text).toBe(`PUT / ${64 * 1024 * 1024}`);
  const down = await whole(call({ ":path": `/function/st/large?bytes=${64 * 1024 * 1024}` }));
  expect(down.bytes).toBe(64 * 1024 * 1024);
}, 60_000);

test("all other routes are there too, with their logins", async () => {
  const accepted = await whole(call({ ":path": "/async-function/st", ":method": "POST" }, "later"));
  expect(accepted.headers[":status"]).toBe(202);
  expect((await whole(call({ ":path": "/system/functions" }))).headers[":status"]).toBe(401);
  const login = { authorization: await platform.authorization() };
  const listed = await whole(call({ ":path": "/system/functions", ...login }));
  expect([listed.headers[":status"], listed.text]).toEqual([200, expect.stringContaining('"st"')]);
  expect((await whole(call({ ":path": "/function/nobody" }))).headers["x-faaslane-error"]).toBe("unknown_function");
});

test("a gateway that stops says so, and finishes what is under way", async () => {
  const own = await temporaryFolder();
  const stopping = await Platform.start({ dataDir: own.path });
  const kept = session;
  try {
    await deployStreaming(stopping, "st");
    await eventually("the function answers", async () => (await fetch(`${stopping.url}/function/st`)).ok, 30_000, 100);
    session = connect(stopping.url);
    session.on("error", () => {});
    let code: number | undefined;
    session.on("goaway", (given) => {
      code = given;
    });
    const bytes = 8 * 1024 * 1024;
    const echo = call({ ":path": "/function/st/trailers", ":method": "POST" }, bytes);
    await eventually("it is under way", () => echo.bytes > 0);
    stopping.kill("SIGTERM");
    await eventually("it says that it goes", () => code === 0);
    expect((await whole(echo)).bytes).toBe(bytes);
    expect(await stopping.ended).toBe(0);
  } finally {
    session.destroy();
    session = kept;
    await stopping.stop();
    await own.remove();
  }
}, 60_000);
