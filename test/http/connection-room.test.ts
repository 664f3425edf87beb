import { EventEmitter, once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { Connections } from "../../http/connections.ts";
import { OtherConnections } from "../../http/other-connections.ts";
import { eventually } from "../support/eventually.ts";

/** Connections of callers, and others that their requests need, within one number. */
const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

let server: Server | undefined;
let port = 0;
const clients: Socket[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  server?.close();
  server?.closeAllConnections();
});

async function open(handler: RequestListener, maxConnections: number): Promise<OtherConnections> {
  const others = new OtherConnections();
  const connections = new Connections(handler, { maxConnections, others });
  server = createServer();
  server.on("connection", connections.onConnection).on("request", connections.onRequest);
  await once(server.listen(0, "127.0.0.1"), "listening");
  ({ port } = server.address() as AddressInfo);
  return others;
}

async function dial(text = ""): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  clients.push(socket.on("error", () => {}));
  await once(socket, "connect");
  if (text !== "") socket.write(text);
  return socket;
}

/** Connections that have been answered. */
async function dialIdle(count: number): Promise<Socket[]> {
  const idle: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = await dial(GET);
    await Promise.race([once(socket, "data"), once(socket, "close")]);
    idle.push(socket.resume());
  }
  return idle;
}

const answer: RequestListener = (_req, res) => res.end("answer");
const openOnes = (sockets: readonly Socket[]) => sockets.map(({ closed }) => !closed);
const closedOnes = (sockets: readonly Socket[]) => sockets.filter(({ closed }) => closed);

test("callers that are idle may have all of it", async () => {
  await open(answer, 20);
  const idle = await dialIdle(20);
  expect(closedOnes(idle)).toEqual([]);
  await dialIdle(1);
  await eventually("one has made room", () => closedOnes(idle).length === 1);
});

test("for each of the others one that is idle makes room, until they are closed", async () => {
  const others = await open(answer, 20);
  const idle = await dialIdle(15);
  const needed = Array.from({ length: 10 }, () => new EventEmitter());
  for (const other of needed) others.add(other);
  await eventually("as many are closed as it takes", () => closedOnes(idle).length >= 5);
  expect(openOnes(idle)).toEqual([...Array(5).fill(false), ...Array(10).fill(true)]);
  for (const other of needed) other.emit("close");
  expect(others.descriptors).toBe(0);
  expect(closedOnes(await dialIdle(10))).toEqual([]);
  expect(closedOnes(idle)).toHaveLength(5);
});

test("a request makes room for the connection that it may need", async () => {
  const underWay: (() => void)[] = [];
  await open((req, res) => (req.method === "GET" ? res.end("answer") : underWay.push(() => res.end("late"))), 10);
  const idle = await dialIdle(8);
  for (const socket of idle.slice(-4)) socket.write("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  await eventually("they are under way", () => underWay.length === 4);
  await eventually("two have made room", () => closedOnes(idle).length >= 2);
  expect(openOnes(idle)).toEqual([false, false, ...Array(6).fill(true)]);
  for (const end of underWay) end();
  expect(closedOnes(await dialIdle(2))).toEqual([]);
});

test("no more requests are under way than have room for a connection each", async () => {
  const underWay: (() => void)[] = [];
  await open((_req, res) => underWay.push(() => res.end("answer")), 10);
  const busy = await Promise.all(Array.from({ length: 5 }, () => dial(GET)));
  await eventually("they are under way", () => underWay.length === 5);
  const late = (await dial(GET)).resume();
  await eventually("one more is turned away", () => late.closed);
  expect(closedOnes(busy)).toEqual([]);
  for (const end of underWay) end();
  for (const socket of busy) await once(socket, "data");
  expect(underWay).toHaveLength(5);
});

test("those that make room are the oldest, however many have to", async () => {
  const others = await open(answer, 400);
  const idle = await dialIdle(300);
  for (let i = 0; i < 250; i++) others.add(new EventEmitter());
  await eventually("as many are closed as it takes", () => closedOnes(idle).length >= 150);
  const stay = openOnes(idle);
  expect(stay.filter(Boolean)).toHaveLength(150);
  expect(stay.slice(150)).not.toContain(false);
});
