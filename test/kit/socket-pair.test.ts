import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "@jest/globals";
import { PairedSocket } from "../../kit/socket-pair.ts";

const BYTES = 32 * 1024;

/** A server that has written, and a client that has not read yet. */
function written(): { client: PairedSocket; server: PairedSocket } {
  const pair = PairedSocket.pair("127.0.0.1");
  pair.server.write("x".repeat(BYTES));
  return pair;
}

test("what a server has written before it closes arrives, and the client is closed after it", async () => {
  const { client, server } = written();
  const closed = once(client, "close");
  server.destroy();
  expect(await text(client)).toHaveLength(BYTES);
  await closed;
});

test("a server that breaks off loses it", async () => {
  const { client, server } = written();
  server.on("error", () => {});
  server.destroy(new Error("broken off"));
  await once(client, "close");
  expect(client.readableAborted).toBe(true);
});

test("a server that closes while its answer is not taken breaks it off", async () => {
  const { client, server } = written();
  for (let i = 0; i < 20; i++) server.write("x".repeat(BYTES));
  server.destroy();
  await once(client, "close");
  expect(client.readableAborted).toBe(true);
});

test("a client that goes takes along what it has asked, though it is not read", async () => {
  const { client, server } = PairedSocket.pair("127.0.0.1");
  client.write("x".repeat(BYTES));
  client.destroy();
  await once(server, "close");
  expect(server.readableAborted).toBe(true);
});

test("one that waits for nothing is closed at once by the other", async () => {
  for (const first of ["client", "server"] as const) {
    const pair = PairedSocket.pair("127.0.0.1");
    pair[first].destroy();
    const other = pair[first === "client" ? "server" : "client"];
    await once(other, "close");
    expect(other.destroyed).toBe(true);
  }
});
