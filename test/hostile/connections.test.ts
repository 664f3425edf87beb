import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import type { ConnectionLimits } from "../../http/connections.ts";
import { type DrainingServer, type Handler, listen } from "../../kit/server.ts";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";

/** What clients do to a server, without any function behind it. */
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function open(
  handler: Handler,
  limits: Partial<ConnectionLimits> = {},
  server: { requestTimeout?: number } = {},
): Promise<DrainingServer> {
  const listening = await listen(handler, { port: 0, host: "127.0.0.1", limits, server });
  opened.push(() => listening.drain(0));
  return listening;
}

const answerAtOnce: Handler = (req, res) => {
  req.resume();
  res.end("answer");
};

interface Client {
  readonly socket: Socket;
  received: string;
  closed: boolean;
}

async function dial({ port }: DrainingServer, text = ""): Promise<Client> {
  const socket = connect(port, "127.0.0.1");
  const client: Client = { socket, received: "", closed: false };
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    client.received += chunk;
  });
  socket
    .on("error", () => {})
    .on("close", () => {
      client.closed = true;
    });
  opened.push(() => socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  if (text !== "") socket.write(text);
  return client;
}

const closed = (client: Client, deadlineMs = 5_000) =>
  eventually("the server has closed the connection", () => client.closed, deadlineMs);

const answers = ({ received }: Client) => received.split("HTTP/1.1 200").length - 1;

const stillServes = async (server: DrainingServer) => {
  expect(await (await fetch(server.url)).text()).toBe("answer");
};

const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

test.each(["CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\n\r\n"])(
  "a tunnel that is asked for by %j is refused and let go of, also after a reset",
  async (request) => {
    const server = await open(answerAtOnce);
    const polite = await dial(server, request);
    await closed(polite);
    expect(polite.received).toMatch(/^HTTP\/1\.1 (405|400) /);
    for (let i = 0; i < 50; i++) {
      const { socket } = await dial(server, request);
      if (i % 2 === 0) socket.resetAndDestroy();
      else socket.write("x", () => socket.resetAndDestroy());
    }
    await stillServes(server);
  },
);

test("an upgrade is answered as an ordinary request, and may be reset", async () => {
  const server = await open(answerAtOnce);
  const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  expect((await rawRequest(server.port, request))?.status).toBe(200);
  for (let i = 0; i < 50; i++) (await dial(server, request)).socket.resetAndDestroy();
  await stillServes(server);
});

test("a client may reset its connection after any byte of a request", async () => {
  const server = await open(answerAtOnce);
  const request = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (let bytes = 0; bytes <= request.length; bytes++) {
    const { socket } = await dial(server);
    socket.write(request.slice(0, bytes) || " ", () => socket.resetAndDestroy());
  }
  await stillServes(server);
});

test("a handler that throws or rejects fails its request alone", async () => {
  const server = await open((req) => {
    if (req.url === "/throws") throw new Error("defect");
    return Promise.reject(new Error("defect"));
  });
  for (const path of ["/throws", "/rejects"]) {
    const answer = await fetch(server.url + path);
    expect([answer.status, await answer.text()]).toEqual([500, "internal error\n"]);
  }
});

test("pipelined requests are served one at a time, in their order", async () => {
  let inFlight = 0;
  let most = 0;
  const server = await open((req, res) => {
    most = Math.max(most, ++inFlight);
    setTimeout(() => {
      inFlight--;
      res.end(`[${req.url}]`);
    }, 5);
  });
  const client = await dial(server, Array.from({ length: 20 }, (_, i) => GET.replace("/", `/${i}`)).join(""));
  await eventually("all are answered", () => answers(client) === 20);
  expect(most).toBe(1);
  expect(client.received.match(/\[\/\d+\]/g)).toEqual(Array.from({ length: 20 }, (_, i) => `[/${i}]`));
});

const LAST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
const NEXT = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

test.each([
  ["with it", [`${LAST}hello${NEXT}`]],
  ["behind it", [`${LAST}hello`, NEXT, NEXT]],
  ["with the rest of its body", [`${LAST}hel`, `lo${NEXT}`]],
  ["that are no request", [`${LAST}hello`, "\0".repeat(100_000)]],
])("bytes after the last request of a connection do not take its answer away: %s", async (_how, pieces) => {
  const answer = Promise.withResolvers<void>();
  let calls = 0;
  const server = await open(async (req, res) => {
    calls++;
    req.resume();
    await answer.promise;
    res.end("answer");
  });
  const client = await dial(server);
  for (const piece of pieces)
    await new Promise<void>((resolve) => client.socket.write(piece, "latin1", () => resolve()));
  // Another connection's request has been served by then, and what was sent before it has been read.
  await eventually("the request is served", () => calls === 1);
  const other = await dial(server, NEXT);
  await eventually("another one is, too", () => calls === 2);
  expect([client.received, client.closed]).toEqual(["", false]);
  answer.resolve();
  await eventually("both are answered", () => client.closed && other.received.endsWith("answer"));
  expect(client.received).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\nanswer$/);
  expect(calls).toBe(2);
});

test("a flood of pipelined requests is closed, and nobody else waits for it", async () => {
  const server = await open((_req, res) => setTimeout(() => res.end("answer"), 20));
  const flood = await dial(server, GET.repeat(83_000));
  const startedAt = performance.now();
  await stillServes(server);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  await closed(flood);
  expect(answers(flood)).toBeLessThanOrEqual(101);
});

test("pipelined requests of many connections have a limit in common", async () => {
  const never = Promise.withResolvers<void>();
  const server = await open(() => never.promise, { maxPipelinedTotal: 50 });
  const clients: Client[] = [];
  for (let i = 0; i < 10; i++) clients.push(await dial(server, GET.repeat(11)));
  await eventually("those over it are closed", () => clients.filter((client) => client.closed).length === 5);
});

test.each(["ends", "breaks off"])(
  "a caller that %s its connection is noticed although more requests wait on it",
  async (way) => {
    const left = Promise.withResolvers<void>();
    const server = await open((_req, res) => void res.on("close", () => left.resolve()), { peekMs: 200 });
    const { socket } = await dial(server, GET.repeat(3));
    await eventually("they are there", () => socket.bytesWritten === GET.length * 3);
    if (way === "ends") socket.end();
    else socket.resetAndDestroy();
    await left.promise;
  },
);

test.each([
  ["an unfinished head", "GET / HTTP/1.1\r\nHost: x\r\n"],
  ["an unfinished body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun"],
  ["nothing", ""],
])("a client that sends %s and stalls is let go of soon after read_timeout", async (_what, text) => {
  const server = await open((req, res) => req.resume().on("end", () => res.end("answer")), {}, { requestTimeout: 400 });
  const startedAt = performance.now();
  const client = await dial(server, text);
  await closed(client);
  expect(performance.now() - startedAt).toBeLessThan(2_500);
  expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
});

test("a client that does not take its refusal is cut all the same", async () => {
  const server = await open(answerAtOnce, {}, { requestTimeout: 200 });
  const clients = await Promise.all(Array.from({ length: 20 }, () => dial(server, "GET / HT")));
  for (const { socket } of clients) socket.pause().removeAllListeners("end");
  await eventually("no connection is left", async () => {
    const left = await new Promise((resolve) => server.server.getConnections((_error, count) => resolve(count)));
    return left === 0;
  });
});

test("a body that stops arriving is given up long before the time for the whole request", async () => {
  const server = await open((req) => void req.resume(), { bodyStallMs: 200 });
  const client = await dial(server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun");
  await closed(client);
  expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
});

test("a body that its handler does not read is not taken for a stalled one", async () => {
  const read = Promise.withResolvers<void>();
  const server = await open((req, res) => void read.promise.then(() => req.resume().on("end", () => res.end("read"))), {
    bodyStallMs: 200,
  });
  const client = await dial(server, `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(1e6)}`);
  const silentUntil = performance.now() + 600;
  await eventually("some time has passed", () => performance.now() > silentUntil);
  expect(client.closed).toBe(false);
  read.resolve();
  await eventually("it is answered", () => client.received.endsWith("read"));
});

test("an answer that nobody takes is given up", async () => {
  const server = await open((_req, res) => void res.end(Buffer.alloc(64 * 1024 ** 2)), { answerStallMs: 300 });
  const client = await dial(server, GET);
  client.socket.pause();
  await eventually("the server has let go of it", async () => {
    const left = await new Promise((resolve) => server.server.getConnections((_error, count) => resolve(count)));
    return left === 0;
  });
});

test("a body that an answer was too early for is read off, so that the next request is seen", async () => {
  const server = await open((_req, res) => void res.end("answer"));
  const client = await dial(server, `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n`);
  await eventually("the answer is there", () => answers(client) === 1);
  client.socket.write("x".repeat(500_000) + GET);
  await eventually("the next one is answered", () => answers(client) === 2);
});

test("unfinished heads have a limit in common; the largest go first", async () => {
  const server = await open(answerAtOnce, { maxHeadBytesTotal: 4 * 1024 ** 2 });
  const small = await dial(server, "GET / HTTP/1.1\r\n");
  const large: Client[] = [];
  for (let i = 0; i < 30; i++) large.push(await dial(server, `GET / HTTP/1.1\r\nX: ${"a".repeat(900_000)}`));
  await eventually("most are closed", () => large.filter((client) => client.closed).length >= 26);
  small.socket.write("Host: x\r\n\r\n");
  await eventually("the small one is served", () => answers(small) === 1);
});

test("unfinished heads behind a request that is being served count like any", async () => {
  const server = await open(() => {}, { maxHeadBytesTotal: 2 * 1024 ** 2 });
  const clients = await Promise.all(Array.from({ length: 20 }, () => dial(server, `${GET}GET / HTTP/1.1\r\nX: `)));
  let sent = 0;
  const grow = () => {
    // Each stays far below what one head may have.
    if (sent < 400_000) for (const { socket, closed } of clients) if (!closed) socket.write("a".repeat(40_000));
    sent += 40_000;
    return clients.filter((client) => client.closed).length >= 10;
  };
  await eventually("many are closed", grow, 10_000, 50);
});

test("over the limit of connections the one that has been idle for longest makes room", async () => {
  const server = await open(answerAtOnce, { maxConnections: 20 });
  const idle: Client[] = [];
  for (let i = 0; i < 20; i++) idle.push(await dial(server, GET));
  await eventually("all are answered", () => idle.every((client) => answers(client) === 1));
  await stillServes(server);
  expect(idle.filter((client) => client.closed)).toHaveLength(1);
  expect(idle[0]?.closed).toBe(true);
});

test("when all connections are busy, a further one is turned away and nobody suffers", async () => {
  const release = Promise.withResolvers<void>();
  let busyCount = 0;
  const answerLater: Handler = (_req, res) => {
    busyCount++;
    void release.promise.then(() => res.end("answer"));
  };
  const server = await open(answerLater, { maxConnections: 5 });
  const busy: Client[] = [];
  for (let i = 0; i < 5; i++) busy.push(await dial(server, GET));
  await eventually("all are busy", () => busyCount === 5);
  await closed(await dial(server, GET));
  release.resolve();
  await eventually("the busy ones are answered", () => busy.every((client) => answers(client) === 1));
});

test("stopping ends at its deadline whatever sockets are held", async () => {
  const server = await listen(answerAtOnce, { port: 0, host: "127.0.0.1" });
  for (const text of ["CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n", GET, ""]) {
    (await dial(server, text)).socket.pause();
  }
  const startedAt = performance.now();
  await server.drain(500);
  expect(performance.now() - startedAt).toBeLessThan(1_500);
});

test.each<[what: string, request: string, status: number]>([
  ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
  ["a Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
  ["a Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400],
  ["a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["HTTP/0.9", "GET /\r\n\r\n", 505],
  ["HTTP/2.0", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505],
  ["a target without a path", "GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400],
  ["another scheme", "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400],
  ["a target with a user", "GET http://a@b/ HTTP/1.1\r\nHost: x\r\n\r\n", 400],
  ["a target with no host", "GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n", 400],
  ["a coding beside chunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501],
])("%s is refused", async (_what, request, status) => {
  const server = await open(answerAtOnce);
  const client = await dial(server, request);
  await closed(client);
  expect(client.received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
});

test.each([
  ["GET http://other/a?b HTTP/1.1\r\nHost: x\r\n\r\n", "/a?b other"],
  ["GET HTTP://other:80 HTTP/1.1\r\nHost: x\r\n\r\n", "/ other:80"],
  ["GET http://other?q HTTP/1.0\r\n\r\n", "/?q other"],
  ["OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "* x"],
  ["GET / HTTP/1.0\r\n\r\n", "/ undefined"],
])("%j is understood", async (request, seen) => {
  const server = await open((req, res) => void res.end(`${req.url} ${req.headers.host}`));
  expect((await rawRequest(server.port, request))?.body).toBe(seen);
});
