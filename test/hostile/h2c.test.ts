import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { eventually } from "../support/eventually.ts";
import { END_HEADERS, END_STREAM, FRAME, fields, frame, GET, PREFACE, RawHttp2 } from "../support/raw-http2.ts";

/** What clients of HTTP/2 do to a server, without any function behind it. */
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** Every request that the handler saw. */
let seen: string[] = [];

async function open(maxConnections = 1_000): Promise<DrainingServer> {
  seen = [];
  const server = await listen(
    (req, res) => {
      seen.push([req.method, req.url, ...req.rawHeaders].join(" "));
      if (req.url === "/never") return;
      if (req.url === "/large") {
        const piece = Buffer.alloc(64 * 1024);
        const more = () => {
          while (!res.destroyed && res.write(piece));
        };
        res.on("drain", more);
        more();
        return;
      }
      req.resume();
      req.on("end", () => res.end(`answer ${req.url}`));
    },
    { port: 0, host: "127.0.0.1", http2: true, limits: { maxConnections, answerStallMs: 500 } },
  );
  opened.push(() => server.drain(0));
  return server;
}

function dial(server: DrainingServer, bytes: Buffer | string = "", settings = ""): RawHttp2 {
  const client = new RawHttp2(server.port, bytes, settings);
  opened.push(() => client.socket.destroy());
  return client;
}

const head = (stream: number, list = GET, flags = END_HEADERS | END_STREAM) =>
  frame(FRAME.headers, flags, stream, fields(list));

/** `GET` with fields in the place of those of the same name, or behind them. */
function getWith(...given: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  const names = new Set(given.map(([name]) => name));
  const pseudo = given.filter(([name]) => name.startsWith(":"));
  return [...GET.filter(([name]) => !names.has(name)), ...pseudo, ...given.filter(([name]) => !name.startsWith(":"))];
}

const closed = (client: RawHttp2) => eventually("the server has closed the connection", () => client.closed, 15_000);

const stillServes = async (server: DrainingServer) => {
  expect(await (await fetch(server.url)).text()).toBe("answer /");
  const client = connectHttp2(server.url);
  opened.push(() => client.destroy());
  const stream = client.request({ ":path": "/again" });
  let text = "";
  stream.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  await eventually("an answer by HTTP/2", () => text === "answer /again", 15_000);
};

test("a preface that comes byte by byte is one", async () => {
  const server = await open();
  const socket = connect(server.port, "127.0.0.1").setNoDelay();
  opened.push(() => socket.destroy());
  let received = Buffer.alloc(0);
  socket.on("data", (piece) => {
    received = Buffer.concat([received, piece]);
  });
  for (const byte of PREFACE) await new Promise((resolve) => socket.write(byte, resolve));
  socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), head(1)]));
  await eventually("an answer", () => received.includes("answer /"));
});

test("a preface that is broken off or is none closes the connection", async () => {
  const server = await open();
  for (const bytes of [
    "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    "PRI /x HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
  ]) {
    const socket = connect(server.port, "127.0.0.1").resume();
    socket.on("error", () => {});
    const end = new Promise((resolve) => socket.once("close", resolve));
    socket.write(bytes);
    await end;
  }
  expect(seen).toEqual([]);
  await stillServes(server);
});

test("a preface behind a request of HTTP/1.1 does not begin another protocol", async () => {
  const server = await open();
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  let received = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    received += piece;
  });
  const end = new Promise((resolve) => socket.once("close", resolve));
  socket.write(
    Buffer.concat([
      Buffer.from(`GET /first HTTP/1.1\r\nHost: x\r\n\r\n${PREFACE}`),
      frame(FRAME.settings, 0, 0),
      head(1, getWith([":path", "/hidden"])),
    ]),
  );
  await end;
  expect(seen.join()).not.toContain("/hidden");
  expect(received).not.toContain("answer /hidden");
  await stillServes(server);
});

test.each([
  ["a frame that is too large", Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]), Buffer.alloc(100)])],
  ["data for a stream that is not open", frame(FRAME.data, 0, 1, "hello")],
  ["headers that cannot be decoded", frame(FRAME.headers, END_HEADERS | END_STREAM, 1, Buffer.alloc(50, 0xff))],
  ["an even stream", head(2)],
  ["a setting that is out of range", frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff]))],
  ["a window that overflows", frame(FRAME.window, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])).toString("latin1")],
])("%s ends the connection alone", async (_name, bytes) => {
  const server = await open();
  const client = dial(server, typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  await closed(client);
  await stillServes(server);
});

test("headers that go on for ever are cut off", async () => {
  const server = await open();
  const client = dial(server, head(1, GET, 0));
  const more = frame(FRAME.continuation, 0, 1, fields([["x-more", "y".repeat(16_000)]]));
  const send = () => {
    if (!client.closed) client.socket.write(more, () => setImmediate(send));
  };
  send();
  await closed(client);
  expect(seen).toEqual([]);
  await stillServes(server);
});

test("a list of headers over the limit is refused", async () => {
  const server = await open();
  const many = Array.from({ length: 3_000 }, (_, index) => [`x-${index}`, "1"] as const);
  const block = fields(getWith(...many));
  const pieces: Buffer[] = [];
  for (let at = 0; at < block.length; at += 16_000) {
    const last = at + 16_000 >= block.length ? END_HEADERS : 0;
    const flags = at === 0 ? END_STREAM | last : last;
    pieces.push(frame(at === 0 ? FRAME.headers : FRAME.continuation, flags, 1, block.subarray(at, at + 16_000)));
  }
  const client = dial(server, Buffer.concat(pieces));
  await eventually("it is refused", () => client.errorOf(1) !== undefined || client.closed, 15_000);
  expect(seen).toEqual([]);
  await stillServes(server);
});

test.each([
  ["opened and reset at once", (stream: number) => [head(stream), frame(FRAME.reset, 0, stream, Buffer.alloc(4))]],
  [
    "that wait and are reset",
    (stream: number) => [
      head(stream, getWith([":path", "/never"])),
      frame(FRAME.reset, 0, stream, Buffer.from([0, 0, 0, 8])),
    ],
  ],
])("thousands of streams %s end the connection", async (_name, each) => {
  const server = await open();
  const streams = Array.from({ length: 5_000 }, (_, index) => each(2 * index + 1)).flat();
  const client = dial(server, Buffer.concat(streams));
  await closed(client);
  await stillServes(server);
});

test.each([
  ["pings", frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
  ["changes of settings", frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0xff, 0xff]))],
])("a flood of %s ends the connection", async (_name, bytes) => {
  const server = await open();
  const client = dial(server, Buffer.concat(Array.from({ length: 5_000 }, () => bytes)));
  await closed(client);
  await stillServes(server);
});

test("streams beyond the limit are refused, and those within it answered", async () => {
  const server = await open();
  const waiting = Array.from({ length: 300 }, (_, index) => head(2 * index + 1, getWith([":path", "/never"])));
  const client = dial(server, Buffer.concat(waiting));
  await eventually("some are refused", () => client.closed || client.frames.some(({ type }) => type === FRAME.reset));
  expect(seen.length).toBeLessThanOrEqual(128);
  await stillServes(server);
});

test.each<[name: string, list: readonly (readonly [string, string])[]]>([
  ["a length and another one", getWith(["content-length", "0"], ["content-length", "5"])],
  ["a transfer coding", getWith(["transfer-encoding", "chunked"])],
  ["a connection header", getWith(["connection", "x-forged"])],
  ["an upgrade", getWith(["upgrade", "websocket"])],
  ["a name in capitals", getWith(["X-A", "b"])],
  ["a path that breaks the line", getWith([":path", "/a HTTP/1.1\r\nX-Forged: 1\r\n\r\nGET /hidden"])],
  ["a path with a space", getWith([":path", "/a b"])],
  ["an authority that breaks the line", getWith([":authority", "x\r\nX-Forged: 1"])],
  ["an authority that is no host", getWith([":authority", "a b"])],
  ["a method that breaks the line", getWith([":method", "GET /hidden HTTP/1.1\r\nX: "])],
  ["a method that is no token", getWith([":method", "G ET"])],
  ["no path", GET.filter(([name]) => name !== ":path")],
  ["no host at all", GET.filter(([name]) => name !== ":authority")],
  [
    "a tunnel",
    [
      [":method", "CONNECT"],
      [":authority", "x:1"],
    ],
  ],
  ["a tunnel with a protocol", [...GET.slice(1), [":method", "CONNECT"], [":protocol", "websocket"]]],
])("a request with %s never reaches a handler", async (_name, list) => {
  const server = await open();
  const client = dial(server, head(1, list));
  await eventually("it is refused", () => client.hasAnswer(1) || client.errorOf(1) !== undefined || client.closed);
  expect(client.bodyOf(1)).not.toContain("answer");
  expect(seen).toEqual([]);
  await stillServes(server);
});

test.each<[name: string, field: readonly [string, string]]>([
  ["a value that breaks the line", ["x-a", "b\r\nX-Forged: 1"]],
  ["a value with NUL", ["x-a", "b\0"]],
  ["a name that breaks the line", ["x-a: b\r\nx-forged", "1"]],
])("a field with %s never reaches a handler", async (_name, field) => {
  const server = await open();
  const client = dial(server, head(1, getWith(field)));
  await eventually("an end", () => client.bodyOf(1) !== "" || client.errorOf(1) !== undefined || client.closed);
  expect(seen.join().toLowerCase()).not.toMatch(/x-a|x-forged/);
  await stillServes(server);
});

test.each([
  ["shorter", "3"],
  ["longer", "90"],
])("a body that is not as long as it says, as it says %s, is never taken for whole", async (_name, length) => {
  const server = await open();
  const post = getWith([":method", "POST"], ["content-length", length]);
  const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
  const client = dial(server, Buffer.concat([head(1, post, END_HEADERS), frame(FRAME.data, END_STREAM, 1, hidden)]));
  await eventually("it is refused", () => client.errorOf(1) !== undefined || client.closed);
  expect(client.bodyOf(1)).toBe("");
  expect(seen.join()).not.toContain("hidden");
  await stillServes(server);
});

test("an answer that nobody makes room for is given up", async () => {
  const server = await open();
  const client = dial(server, head(1, getWith([":path", "/large"])), "\0\x04\0\0\0\0");
  await eventually("its stream ends", () => client.errorOf(1) !== undefined || client.closed, 20_000);
  await stillServes(server);
});

test("connections of HTTP/2 leave room for others", async () => {
  const server = await open(20);
  const clients = Array.from({ length: 60 }, () => dial(server));
  await eventually("those beyond the limit are closed", () => clients.filter((client) => client.closed).length >= 50);
  expect(await (await fetch(server.url)).text()).toBe("answer /");
});

test("a client may reset its connection after any frame", async () => {
  const server = await open();
  const frames = [
    head(1, getWith([":method", "POST"]), END_HEADERS),
    frame(FRAME.data, 0, 1, "hello"),
    frame(FRAME.data, END_STREAM, 1, ""),
    head(3, getWith([":path", "/large"])),
  ];
  for (let round = 0; round < 40; round++) {
    const client = dial(server, Buffer.concat(frames.slice(0, round % 5)));
    setTimeout(() => client.socket.resetAndDestroy(), Math.random() * 30);
    await closed(client);
  }
  await stillServes(server);
});
