import { connect as connectTo, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { DEFAULT_CONNECTION_LIMITS } from "../../http/connections.ts";
import { upgradeOf } from "../../http/upgrades.ts";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { eventually } from "../support/eventually.ts";
import { behindHead, openRaw, type RawClient, upgradeHead } from "../support/switching.ts";

/** What clients and functions do with connections that change their protocol, at a server that passes them on. */
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

interface Options {
  readonly max?: number;
  readonly idleMs?: number;
  readonly maxBufferedBytes?: number;
}

/** Switches `/switch…` to what a peer at the other end of a socket makes of it, answers the rest. */
async function open(peer: (socket: Socket) => void, options: Options = {}): Promise<DrainingServer> {
  const upstream: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    opened.push(() => socket.destroy());
    peer(socket);
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  opened.push(() => upstream.close());
  const { port } = upstream.address() as { port: number };
  const { max = 100, idleMs = 60_000, maxBufferedBytes } = options;
  const server = await listen(
    (req, res) => {
      const upgrade = upgradeOf(req);
      if (req.url === "/never") return;
      if (!upgrade || req.url === "/no") res.end(`plain ${req.url}`);
      else if (upgrade.full) res.writeHead(503).end();
      else upgrade.switchTo({ Connection: "Upgrade", Upgrade: "echo" }, connectTo(port, "127.0.0.1"));
    },
    {
      port: 0,
      host: "127.0.0.1",
      upgrades: {
        accepts: (url) => url !== "/closed",
        max,
        idleMs,
        ...(maxBufferedBytes !== undefined && { maxBufferedBytes }),
      },
    },
  );
  opened.push(() => server.drain(0));
  return server;
}

const echo = (socket: Socket) => void socket.pipe(socket);

function dial(server: DrainingServer, text: string): RawClient {
  const client = openRaw(server.port, text);
  opened.push(() => client.socket.destroy());
  return client;
}

const closed = (client: RawClient) =>
  eventually(
    "the server has ended it",
    () => {
      if (client.ended && !client.closed) client.socket.end();
      return client.closed;
    },
    15_000,
  );

const switched = (client: RawClient) =>
  eventually("it is switched", () => client.received.startsWith("HTTP/1.1 101 "), 15_000);

const stillServes = async (server: DrainingServer) => {
  expect(await (await fetch(server.url)).text()).toBe("plain /");
};

const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";

test.each([
  ["a body of that length", ["Content-Length: 5"], "hello"],
  ["chunks", ["Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n"],
  ["a length that hides a request", [`Content-Length: ${HIDDEN.length}`], HIDDEN],
  ["a length that is none", ["Content-Length: 00"], ""],
])("an upgrade with %s is an ordinary request, and what it has sent its body", async (_name, headers, body) => {
  const server = await open(echo);
  const client = dial(server, upgradeHead("/switch", headers) + body + HIDDEN);
  await closed(client);
  expect(client.received).toMatch(/^HTTP\/1\.1 200 .*\r\nConnection: close\r\n.*plain \/switch$/s);
  await stillServes(server);
});

test.each([
  ["of HTTP/1.0", upgradeHead("/switch").replace("HTTP/1.1", "HTTP/1.0"), / 200 .*plain \/switch/s],
  ["without a host", upgradeHead("/switch").replace("Host: localhost\r\n", ""), / 400 /],
  ["with two hosts", upgradeHead("/switch", ["Host: other"]), / 400 /],
  ["for another path", upgradeHead("/closed"), / 200 .*plain \/closed/s],
  ["to HTTP/2", upgradeHead("/switch", ["HTTP2-Settings: AAMAAABk"], "h2c"), / 200 .*plain \/switch/s],
  ["to nothing", upgradeHead("/switch", [], " ,"), / 200 .*plain \/switch/s],
  ["with an absolute target", upgradeHead("http://x/switch"), / 200 .*plain \/switch/s],
])("an upgrade %s is not made", async (_name, head, answer) => {
  const server = await open(echo);
  const client = dial(server, head);
  await eventually("an answer", () => answer.test(client.received));
  expect(client.received).not.toContain(" 101 ");
  await stillServes(server);
});

test("requests behind an upgrade are bytes of the other protocol, and never requests", async () => {
  const server = await open(echo);
  const client = dial(server, upgradeHead("/switch") + HIDDEN + HIDDEN);
  await eventually("they are back", () => behindHead(client) === HIDDEN + HIDDEN);
  expect(client.received).not.toContain("plain");
});

test("requests behind an upgrade that is refused are never requests either", async () => {
  const server = await open(echo);
  const client = dial(server, upgradeHead("/no") + HIDDEN + HIDDEN);
  await closed(client);
  expect(client.received).toMatch(/\r\nConnection: close\r\n.*plain \/no$/s);
});

test("an upgrade that is sent ahead of an answer that is owed waits, and is an ordinary request", async () => {
  const server = await open(echo);
  const client = dial(server, HIDDEN.repeat(3) + upgradeHead("/switch") + HIDDEN);
  await closed(client);
  expect(client.received).not.toContain(" 101 ");
  expect(client.received.match(/plain \/(?:hidden|switch)/g)).toEqual([
    ...Array(3).fill("plain /hidden"),
    "plain /switch",
  ]);
});

test("a kept connection may still change its protocol", async () => {
  const server = await open(echo);
  const client = dial(server, HIDDEN);
  await eventually("an answer", () => client.received.includes("plain /hidden"));
  client.received = "";
  client.socket.write(`${upgradeHead("/switch")}x`);
  await eventually("it is switched", () => behindHead(client) === "x");
});

test("thousands of upgrades at once are bounded, and leave room for others", async () => {
  const server = await open(echo, { max: 20 });
  const clients = Array.from({ length: 1_000 }, () => dial(server, upgradeHead("/switch")));
  await eventually("all are answered", () => clients.every(({ received }) => received !== ""), 30_000);
  expect(clients.filter(({ received }) => received.startsWith("HTTP/1.1 101 ")).length).toBe(20);
  expect(clients.filter(({ received }) => received.startsWith("HTTP/1.1 503 ")).length).toBe(980);
  await stillServes(server);
  for (const { socket } of clients) socket.resetAndDestroy();
  await eventually("there is room again", async () => {
    const next = dial(server, `${upgradeHead("/switch")}x`);
    await eventually("an answer", () => next.received !== "");
    return next.received.startsWith("HTTP/1.1 101 ");
  });
});

test("a client that sends bytes ahead and never gets an answer is held up, and forgotten when it leaves", async () => {
  const server = await open(echo);
  const client = dial(server, upgradeHead("/never"));
  let taken = 0;
  const piece = Buffer.alloc(1024 * 1024);
  const more = () =>
    client.socket.write(piece, () => {
      taken += piece.length;
      if (taken < 64 * 1024 ** 2) more();
    });
  more();
  await eventually("no more is taken", () => client.socket.writableNeedDrain);
  expect(taken).toBeLessThan(32 * 1024 ** 2);
  client.socket.resetAndDestroy();
  await stillServes(server);
});

test("one that stalls behind the 101 is closed after the idle time", async () => {
  const server = await open(echo, { idleMs: 300 });
  const client = dial(server, upgradeHead("/switch"));
  await switched(client);
  await closed(client);
});

test("a side that ends its direction and then says nothing is closed after the idle time", async () => {
  const server = await open((socket) => void socket.resume(), { idleMs: 300 });
  const client = dial(server, upgradeHead("/switch"));
  await switched(client);
  client.socket.end("the last");
  await eventually("the server has closed it", () => client.closed, 15_000);
});

test("bytes that nobody takes are held back up to a limit over all, and those with most are cut", async () => {
  let cut = 0;
  const flood = (socket: Socket) => {
    const piece = Buffer.alloc(256 * 1024);
    const more = () => socket.writable && socket.write(piece, more);
    socket.on("close", () => {
      cut++;
    });
    socket.resume();
    more();
  };
  const server = await open(flood, { maxBufferedBytes: 1024 * 1024 });
  for (let count = 0; count < 40; count++) dial(server, upgradeHead("/switch")).socket.pause();
  await eventually("most are cut", () => cut >= 20, 20_000);
  await stillServes(server);
});

test("resets of either side at any moment end that connection alone", async () => {
  const server = await open((socket) => {
    if (Math.random() < 0.5) setTimeout(() => socket.resetAndDestroy(), Math.random() * 20);
    else echo(socket);
  });
  const clients = Array.from({ length: 200 }, (_, index) => {
    const client = dial(server, `${upgradeHead("/switch")}${"x".repeat(index * 100)}`);
    setTimeout(() => client.socket.resetAndDestroy(), Math.random() * 40);
    return client;
  });
  await eventually("all are over", () => clients.every((client) => client.closed), 15_000);
  await stillServes(server);
});

test("a peer that nobody listens at any more breaks the connection off", async () => {
  const server = await open((socket) => socket.resetAndDestroy());
  const client = dial(server, upgradeHead("/switch"));
  await eventually("it is closed", () => client.closed, 15_000);
  await stillServes(server);
});

test("one that is open long is no head, no body and not idle to the limits of connections", async () => {
  expect(DEFAULT_CONNECTION_LIMITS.maxHeadBytesTotal).toBeLessThan(64 * 1024 ** 2);
  const server = await open((socket) => void socket.resume());
  const client = dial(server, upgradeHead("/switch"));
  await switched(client);
  const piece = Buffer.alloc(1024 ** 2);
  for (let sent = 0; sent < 64; sent++) await new Promise((resolve) => client.socket.write(piece, resolve));
  expect(client.closed).toBe(false);
});

test.each([
  ["an expectation that nobody can meet", "GET /a HTTP/1.1\r\nHost: a\r\nExpect: the-impossible\r\n\r\n"],
  ["an answer that is just complete", "GET /no HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["no host", "GET /a HTTP/1.1\r\n\r\n"],
])("an upgrade behind a request with %s ends no process", async (_what, before) => {
  const server = await open(echo);
  const client = dial(server, before + upgradeHead("/switch"));
  await eventually("it is answered", () => client.received.startsWith("HTTP/1.1 "), 15_000);
  const next = dial(server, upgradeHead("/switch"));
  await switched(next);
});
