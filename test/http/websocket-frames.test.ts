import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { upgradeOf } from "../../http/upgrades.ts";
import { GOING_AWAY, ServerFrames } from "../../http/websocket-frames.ts";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { eventually } from "../support/eventually.ts";
import { behindHead, hasSwitched, openRaw, upgradeHead } from "../support/switching.ts";

/** A frame of a server's. @param lengthBytes those in which its length is written beside the first */
function frame(first: number, payload: number, lengthBytes: 0 | 2 | 8): Buffer {
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = first;
  head[1] = lengthBytes === 0 ? payload : lengthBytes === 2 ? 126 : 127;
  if (lengthBytes === 2) head.writeUInt16BE(payload, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(payload), 2);
  return Buffer.concat([head, Buffer.alloc(payload, 0x88)]);
}

const TEXT = frame(0x81, 5, 0);
const PING = frame(0x89, 0, 0);

test.each<[what: string, frames: Buffer[]]>([
  ["short ones", [TEXT, PING, TEXT]],
  ["one of two bytes of length", [frame(0x82, 300, 2)]],
  ["one of eight bytes of length", [frame(0x82, 300, 8), TEXT]],
  ["a message in several, with compression", [frame(0x41, 20, 0), PING, frame(0x80, 200, 2)]],
])("another frame may follow %s at their ends only, however they are cut", (_what, frames) => {
  const all = Buffer.concat(frames);
  const ends = new Set(frames.map((_, i) => Buffer.concat(frames.slice(0, i + 1)).length)).add(0);
  for (let cut = 0; cut <= all.length; cut++) {
    const followed = new ServerFrames();
    followed.pass(all.subarray(0, cut));
    expect([cut, followed.mayFollow]).toEqual([cut, ends.has(cut)]);
    followed.pass(all.subarray(cut));
    expect([cut, followed.mayFollow]).toEqual([cut, true]);
  }
});

test.each<[what: string, bytes: Buffer]>([
  ["the last one", Buffer.concat([TEXT, Buffer.from([0x88, 2, 3, 0xe8])])],
  ["what no server sends", Buffer.from([0x81, 0x80, 0, 0, 0, 0])],
  ["one with no end", Buffer.concat([Buffer.from([0x82, 127]), Buffer.alloc(8, 0xff), Buffer.alloc(1000)])],
])("no frame may follow %s", (_what, bytes) => {
  const followed = new ServerFrames();
  followed.pass(bytes);
  followed.pass(TEXT);
  expect(followed.mayFollow).toBe(false);
});

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** Passes connections of `protocol` on to a function that says `bytes`, and then no more, for which it is ended soon. */
async function open(protocol: string, bytes: Buffer, endsToo: boolean): Promise<DrainingServer> {
  const upstream = createServer({ allowHalfOpen: !endsToo }, (socket: Socket) => {
    socket
      .on("error", () => {})
      .resume()
      .write(bytes);
    opened.push(() => socket.destroy());
  });
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  opened.push(() => upstream.close());
  const { port } = upstream.address() as AddressInfo;
  const server = await listen(
    (req, res) => {
      const headers = { Connection: "Upgrade", Upgrade: protocol };
      const upgrade = upgradeOf(req);
      if (upgrade) upgrade.switchTo(headers, connect(port, "127.0.0.1"));
      else res.end();
    },
    { port: 0, host: "127.0.0.1", upgrades: { accepts: () => true, idleMs: 300 } },
  );
  opened.push(() => server.drain(0));
  return server;
}

const OWN_CLOSE = Buffer.from([0x88, 2, 3, 0xe8]);
const NONE = Buffer.alloc(0);

test.each<[what: string, protocol: string, said: Buffer, added: Buffer]>([
  ["between two frames", "websocket", TEXT, GOING_AWAY],
  ["before the first one", "WebSocket", NONE, GOING_AWAY],
  ["within a frame", "websocket", TEXT.subarray(0, 4), NONE],
  ["behind the function's own goodbye", "websocket", OWN_CLOSE, NONE],
  ["of another protocol", "echo", TEXT, NONE],
])(
  "a server that ends a WebSocket says so %s, if it can",
  async (_what, protocol, said, added) => {
    for (const endsToo of [true, false]) {
      const server = await open(protocol, said, endsToo);
      const client = openRaw(server.port, upgradeHead("/", [], protocol));
      opened.push(() => client.socket.destroy());
      await hasSwitched(client);
      await eventually("what the function says has come", () => behindHead(client).length === said.length);
      await eventually("the connection ends", () => client.ended);
      expect(Buffer.from(behindHead(client), "latin1")).toEqual(Buffer.concat([said, added]));
      client.socket.end();
    }
  },
  30_000,
);
