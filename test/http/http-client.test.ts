import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { AnswerFields } from "../../http/client/answer-head.ts";
import type { AnswerControl, AnswerHandler } from "../../http/client/client-call.ts";
import { HttpClient } from "../../http/client/http-client.ts";
import { eventually } from "../support/eventually.ts";

/** What becomes of a request. */
class Answer implements AnswerHandler {
  status: number | undefined;
  body = "";
  bytes = 0;
  trailers: AnswerFields | undefined;
  control: AnswerControl | undefined;
  /** Whether it had been given to a connection when it failed. */
  sent: boolean | undefined;
  error: NodeJS.ErrnoException | undefined;
  readonly over = Promise.withResolvers<this>();
  onStart: (control: AnswerControl) => void = () => {};
  onPiece: (control: AnswerControl, piece: Buffer) => void = (_control, piece) => {
    this.body += piece.toString("latin1");
  };

  onRequestStart(control: AnswerControl): void {
    this.control = control;
    this.onStart(control);
  }

  onResponseStart(_control: AnswerControl, status: number): void {
    this.status = status;
  }

  onResponseData(control: AnswerControl, piece: Buffer): void {
    this.bytes += piece.length;
    this.onPiece(control, piece);
  }

  onResponseEnd(_control: AnswerControl, trailers: AnswerFields): void {
    this.trailers = trailers;
    this.over.resolve(this);
  }

  onResponseError(control: AnswerControl | undefined, error: Error): void {
    this.error = error;
    this.sent = control !== undefined;
    this.over.resolve(this);
  }
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const sockets: Socket[] = [];
/** All that each connection has sent so far. */
let requests: string[];
let answer: (socket: Socket, request: string) => void;
let server: Server;
let client: HttpClient;

beforeEach(async () => {
  requests = [];
  answer = (socket) => socket.write(OK);
  server = createServer((socket) => {
    const at = sockets.push(socket) - 1;
    requests[at] = "";
    socket.on("error", () => {});
    socket.on("data", (piece) => {
      requests[at] += piece.toString("latin1");
      answer(socket, requests[at] as string);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  client = open();
});

afterEach(async () => {
  await client.destroy();
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

const open = (port = (server.address() as AddressInfo).port) =>
  new HttpClient({ address: `127.0.0.1:${port}`, connectTimeoutMs: 10_000, maxHeadBytes: 1_000 });

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: string[];
  readonly body?: Buffer;
  readonly timeoutMs?: number;
}

function ask({ method = "GET", path = "/", headers = [], body, timeoutMs = 60_000 }: Asked = {}, taker = new Answer()) {
  client.send({ method, path, headers, body: body ?? null }, timeoutMs, taker);
  return taker;
}

const done = (asked: Asked = {}) => ask(asked).over.promise;

test("a request goes out with its own length and host, and nothing of the connection's", async () => {
  const headers = ["X-A", "b", "Content-Length", "99"];
  expect((await done({ method: "POST", path: "/p?q", headers, body: Buffer.from("héé") })).body).toBe("ok");
  await done({ method: "POST", path: "/empty" });
  await done({ path: "/none", headers: ["Content-Length", "0"] });
  const host = `host: 127.0.0.1:${(server.address() as AddressInfo).port}\r\nconnection: keep-alive\r\n`;
  expect(requests).toEqual([
    `POST /p?q HTTP/1.1\r\n${host}X-A: b\r\ncontent-length: 5\r\n\r\n${Buffer.from("héé").toString("latin1")}` +
      `POST /empty HTTP/1.1\r\n${host}content-length: 0\r\n\r\n` +
      `GET /none HTTP/1.1\r\n${host}\r\n`,
  ]);
});

test.each<[what: string, asked: Asked]>([
  ["a line end in a value", { headers: ["A", "b\r\nC: d"] }],
  ["a line end in a name", { headers: ["A\r\nB", "c"] }],
  ["a character beyond bytes", { headers: ["A", "日本"] }],
  ["a host of its own", { headers: ["Host", "other"] }],
  ["a transfer coding", { headers: ["transfer-encoding", "chunked"] }],
  ["a space in its path", { path: "/a b" }],
  ["a line end in its path", { path: "/a\r\nb" }],
  ["another server in its path", { path: "http://other/" }],
  ["a method that is none", { method: "GET /x" }],
])("a request with %s is not sent", async (_what, asked) => {
  const { error, sent } = await done(asked);
  expect([error?.code, sent]).toEqual(["BAD_REQUEST_HEAD", false]);
  expect(requests).toEqual([]);
});

test("the connection that was used last is used next", async () => {
  await Promise.all(Array.from({ length: 5 }, () => done()));
  expect(requests).toHaveLength(5);
  for (let i = 0; i < 5; i++) await done({ path: "/again" });
  expect(requests.filter((text) => text.includes("/again"))).toHaveLength(1);
});

test("one that has been closed while it was idle is passed over", async () => {
  await done();
  sockets[0]?.end();
  await eventually("a second connection", async () => (await done()).body === "ok" && requests.length === 2);
});

test("a kept connection that closes when it gets a request fails the call, which is not sent again", async () => {
  await done();
  answer = (socket) => socket.destroy();
  const { sent, error } = await done({ method: "POST", path: "/once" });
  expect([sent, error]).toEqual([true, expect.any(Error)]);
  expect(requests.join("").split("/once")).toHaveLength(2);
});

test("a connection on which more than the answer comes is used no more", async () => {
  answer = (socket) => socket.write(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`);
  expect((await done()).body).toBe("ok");
  answer = (socket) => socket.write(OK);
  expect((await done()).body).toBe("ok");
  expect(requests).toHaveLength(2);
});

test("nor is one that says something while it is idle", async () => {
  await done();
  const closed = new Promise((resolve) => sockets[0]?.once("close", resolve));
  sockets[0]?.write(OK);
  await closed;
  await done();
  expect(requests).toHaveLength(2);
});

test.each([
  ["Connection: close", "Connection: close\r\n", "GET"],
  ["a time too short", "Keep-Alive: timeout=1\r\n", "GET"],
  ["HEAD, to which some send a body", "", "HEAD"],
])("%s ends a connection", async (_what, header, method) => {
  answer = (socket) => socket.write(`HTTP/1.1 200 OK\r\n${header}Content-Length: 0\r\n\r\n`);
  await done({ method });
  await done({ method });
  expect(requests).toHaveLength(2);
});

test("a call that finds no server was never given to a connection", async () => {
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  client = open(port);
  const { sent, error } = await done();
  expect([sent, error?.code]).toEqual([false, "ECONNREFUSED"]);
});

test("who waits for a connection gets the first that is free", async () => {
  const first = ask();
  first.onStart = () => ask({ path: "/second" }, second);
  const second = new Answer();
  await Promise.all([first.over.promise, second.over.promise]);
  expect([first.body, second.body]).toEqual(["ok", "ok"]);
});

test.each([
  ["the head", "", "HEAD_TIMEOUT"],
  ["the rest of the head, however slowly it comes", "HTTP/1.1 200 OK\r\nA:", "HEAD_TIMEOUT"],
  ["the body", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", "BODY_TIMEOUT"],
])("nobody waits for %s for longer than the time given", async (_what, text, code) => {
  answer = (socket) => {
    socket.write(text);
    if (!text.endsWith(":")) return;
    const drip = setInterval(() => socket.write("b"), 20);
    socket.once("close", () => clearInterval(drip));
  };
  expect((await done({ timeoutMs: 150 })).error?.code).toBe(code);
});

test("an answer that keeps coming has all the time it needs", async () => {
  answer = (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
    let left = 20;
    const drip = setInterval(() => {
      socket.write("x");
      if (--left === 0) clearInterval(drip);
    }, 100);
  };
  expect((await done({ timeoutMs: 1_500 })).body).toBe("x".repeat(20));
});

test("an answer that nobody takes waits with its sender, not with us", async () => {
  const size = 16 * 1024 ** 2;
  answer = (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    socket.write(Buffer.alloc(size, "x"));
  };
  const taker = new Answer();
  taker.onPiece = (control) => control.pause();
  ask({ timeoutMs: 2_000 }, taker);
  await eventually("it has begun", () => taker.bytes > 0);
  const held = taker.bytes;
  expect(held).toBeLessThan(1024 ** 2);
  // Longer than anybody would wait for a server: it is not the server's fault.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect([taker.bytes, taker.error]).toEqual([held, undefined]);
  taker.onPiece = () => {};
  taker.control?.resume();
  await taker.over.promise;
  expect([taker.error, taker.bytes]).toEqual([undefined, size]);
});

test("what is read already waits too, piece by piece", async () => {
  answer = (socket) =>
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nX: y\r\n\r\n");
  const taker = new Answer();
  taker.onPiece = (control, piece) => {
    taker.body += piece.toString("latin1");
    control.pause();
    setImmediate(() => setImmediate(() => control.resume()));
  };
  await ask({}, taker).over.promise;
  expect([taker.body, taker.trailers]).toEqual(["ab", { x: "y" }]);
});

test("an answer that is not wanted ends with its connection, at once", async () => {
  answer = (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
  const taker = ask();
  await eventually("it has begun", () => taker.bytes > 0);
  const closed = new Promise((resolve) => sockets[0]?.once("close", resolve));
  const reason = new Error("enough");
  taker.control?.abort(reason);
  expect([taker.error, taker.sent]).toEqual([reason, true]);
  await closed;
  answer = (socket) => socket.write(OK);
  expect((await done()).body).toBe("ok");
});

test("a call that is given up before it is sent costs no connection", async () => {
  await done();
  const taker = new Answer();
  taker.onStart = (control) => control.abort(new Error("too late"));
  await ask({ path: "/never" }, taker).over.promise;
  await done();
  expect(requests).toHaveLength(1);
  expect(requests[0]).not.toContain("/never");
});

test("what a call still does with its answer after its end does not touch the next one", async () => {
  const first = await done();
  const second = new Answer();
  answer = (socket) => setTimeout(() => socket.write(OK), 50);
  second.onStart = () => {
    first.control?.pause();
    first.control?.abort(new Error("stale"));
  };
  expect((await ask({}, second).over.promise).body).toBe("ok");
  expect(requests).toHaveLength(1);
});

test("closing lets calls under way finish, and takes no more", async () => {
  const taker = new Answer();
  const started = new Promise<void>((resolve) => {
    answer = (socket) => {
      resolve();
      setTimeout(() => socket.write(OK), 50);
    };
  });
  ask({}, taker);
  await started;
  const closed = client.close();
  expect((await done()).error?.code).toBe("CLIENT_CLOSED");
  await closed;
  expect(taker.body).toBe("ok");
  await eventually("no connection is left", () =>
    sockets.every(({ destroyed, readableEnded }) => destroyed || readableEnded),
  );
});

test("destroying ends them", async () => {
  answer = () => {};
  const taker = ask();
  await eventually("it has been sent", () => requests.length === 1 && requests[0] !== "");
  const waiting = ask();
  await client.destroy();
  expect([taker.sent, waiting.sent]).toEqual([true, false]);
});
