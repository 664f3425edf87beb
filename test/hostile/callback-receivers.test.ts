import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { WorkerSetup } from "../gateway/async/worker-setup.ts";
import { eventually } from "../support/eventually.ts";

/** Receivers of callbacks that mean harm: none makes a function run twice, keeps a worker, or puts a call off for ever. */

const TRIES = 3;
const LONGEST_WAIT_MS = 200;
const OPTIONS = {
  callbackTimeoutMs: 400,
  callbackRetry: { tries: TRIES, minWaitMs: 1, maxWaitMs: LONGEST_WAIT_MS, deadlineMs: 15_000 },
};

type Deed = (socket: Socket) => void;

const say = (text: string): Deed => {
  return (socket) => void socket.end(text);
};
const busy = (retryAfter: string) =>
  say(`HTTP/1.1 429 Too Many\r\n${retryAfter}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);

/** @param piece is sent again and again, until the other side has enough */
const drip = (first: string, piece: string, everyMs: number): Deed => {
  return (socket) => {
    socket.write(first);
    const timer = setInterval(() => socket.write(piece), everyMs);
    socket.on("close", () => clearInterval(timer));
  };
};

type Row = readonly [attack: string, deed: Deed, tries: number, reason: RegExp];

const ROWS: readonly Row[] = [
  ["429 for a day", busy("Retry-After: 86400"), TRIES, /status 429/],
  ["429 until the year 9999", busy("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"), TRIES, /status 429/],
  ["429 for ever, in numbers too large", busy(`Retry-After: ${"9".repeat(400)}`), TRIES, /status 429/],
  ["429 for less than no time", busy("Retry-After: -1"), TRIES, /status 429/],
  ["429 with many times", busy("Retry-After: 86400\r\nRetry-After: 604800"), TRIES, /status 429/],
  ["a reset before the answer", (socket) => void socket.resetAndDestroy(), TRIES, /ECONNRESET|UND_ERR_SOCKET/],
  ["an answer that breaks off", say("HTTP/1.1 200 O"), TRIES, /UND_ERR_SOCKET|HPE_/],
  ["an answer that is no HTTP", say("220 mail.example.com ESMTP\r\n"), TRIES, /HTTP/],
  ["no answer", () => {}, TRIES, /no answer in time/],
  ["an answer letter by letter", drip("HTTP/1.1 200 OK\r\nX-Slow: ", "a", 50), TRIES, /no answer in time/],
  [
    "headers without end",
    drip("HTTP/1.1 200 OK\r\n", `X-More: ${"a".repeat(4096)}\r\n`, 1),
    TRIES,
    /HEADERS_OVERFLOW|HPE_/,
  ],
  ["early hints without end", drip("", "HTTP/1.1 103 Early Hints\r\n\r\n", 5), TRIES, /no answer in time|HPE_|UND_ERR/],
  ["a redirect to itself", say("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), 1, /status 302/],
  ["a change of protocol", say("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), TRIES, /.+/],
];

const setup = WorkerSetup.use();
let server: Server;
let sockets: Set<Socket>;
let asked: number;
let deed: Deed;

beforeEach(async () => {
  asked = 0;
  sockets = new Set();
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => {
      asked++;
      deed(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

describe("a receiver that answers with", () => {
  test.each(ROWS)("%s is asked so often and no more", async (_attack, given, tries, reason) => {
    deed = given;
    const waits: number[] = [];
    await setup.start(OPTIONS);
    const id = await setup.publish({ callbackUrl: url() });
    await eventually(
      "it has ended",
      () => {
        const { dueAt, callback, state } = setup.record(id);
        if (callback && state === "waiting") waits.push(dueAt - Date.now());
        return setup.queue.settled;
      },
      20_000,
    );
    expect(setup.record(id)).toMatchObject({ state: "dead", attempts: 1, outcome: { status: 200 } });
    expect(setup.deadReasons()).toEqual([expect.stringMatching(reason)]);
    expect(asked).toBe(tries);
    expect(setup.gateway.received).toHaveLength(1);
    expect(Math.max(0, ...waits)).toBeLessThanOrEqual(LONGEST_WAIT_MS);
  });

  test("200 and a body without end has taken it, and is hung up on", async () => {
    deed = drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", `400\r\n${"a".repeat(1024)}\r\n`, 5);
    await setup.start(OPTIONS);
    const id = await setup.publish({ callbackUrl: url() });
    await setup.settled();
    expect(setup.record(id)).toMatchObject({ state: "done", attempts: 1 });
    expect(asked).toBe(1);
    await eventually("it is hung up on", () => sockets.size === 0, 20_000);
  });

  test("429 for a day, for many calls, holds up no other call of their function", async () => {
    deed = busy("Retry-After: 86400");
    setup.functions.snapshot = { annotations: {}, readyReplicas: 1, maxInflight: 1 };
    const retry = { ...OPTIONS.callbackRetry, tries: 1000, minWaitMs: LONGEST_WAIT_MS };
    await setup.start({ ...OPTIONS, concurrency: 2, callbackRetry: retry });
    for (let i = 0; i < 20; i++) await setup.publish({ callbackUrl: url() });
    const id = await setup.publish();
    await eventually("it is done", () => setup.record(id).state === "done", 20_000);
    expect(setup.queue.records.filter(({ callback }) => callback).length).toBeGreaterThan(0);
    expect(setup.gateway.received.length).toBeLessThanOrEqual(21);
  });
});
