import { type IncomingMessage, request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { growthByLargeBodies, readLarge, sendLarge } from "../support/large-bodies.ts";
import { descendants, Platform, temporaryFolder } from "../support/platform.ts";
import { deployStreaming, openRaw } from "../support/switching.ts";

/** Bodies, trailers and interim answers on their way through every hop. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path, env: { log_level: "info" } });
  await deployStreaming(platform, "st");
  await eventually("the function answers", async () => (await fetch(`${platform.url}/function/st`)).ok, 30_000, 100);
}, 60_000);
afterAll(async () => {
  await platform.stop();
  await folder.remove();
});

const MIB = 1024 ** 2;
/** Of growth by a body of 1 GiB. */
const LIMIT = 40 * MIB;
const ROUNDS = 3;

async function answerOf(options: {
  port: number;
  path: string;
  method?: string;
  bytes?: number;
  trailer?: string;
}): Promise<{
  status: number | undefined;
  bytes: number;
  text: string;
  informed: unknown[];
  trailers: NodeJS.Dict<string>;
}> {
  const { bytes = 0, trailer, ...where } = options;
  const sent = request({ host: "127.0.0.1", ...where, ...(trailer !== undefined && { headers: { Trailer: "X-Up" } }) });
  const informed: unknown[] = [];
  sent.on("information", ({ statusCode, headers }) => informed.push([statusCode, headers.link]));
  const answered = new Promise<IncomingMessage>((resolve, reject) => sent.on("response", resolve).on("error", reject));
  const piece = Buffer.alloc(Math.min(bytes, 64 * 1024), "x");
  for (let left = bytes; left > 0; left -= piece.length) {
    if (!sent.write(piece)) await new Promise((resolve) => sent.once("drain", resolve));
  }
  if (trailer !== undefined) sent.addTrailers({ "X-Up": trailer });
  sent.end();
  const answer = await answered;
  let read = 0;
  let text = "";
  for await (const got of answer as AsyncIterable<Buffer>) {
    read += got.length;
    if (read < MIB) text += got;
  }
  return { status: answer.statusCode, bytes: read, text, informed, trailers: answer.trailers };
}

describe.each([["the gateway"], ["the provider"]])("through %s", (way) => {
  const port = () => (way === "the gateway" ? platform.port : platform.providerPort);
  const at = (path: string) => `http://127.0.0.1:${port()}/function/st${path}`;

  test.each(["text/event-stream", "application/x-ndjson", "text/plain"])(
    "pieces of %s come one by one, as they are sent",
    async (type) => {
      const id = encodeURIComponent(`${way} ${type}`);
      const answer = await fetch(at(`/events?id=${id}&type=${type}`));
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      for (const text of ["one", "two", "three"]) {
        await fetch(at(`/next?id=${id}&text=${text}`));
        const { value } = await reader.read();
        expect(Buffer.from(value ?? []).toString()).toBe(`data: ${text}\n\n`);
      }
      await fetch(at(`/done?id=${id}`));
      expect((await reader.read()).done).toBe(true);
    },
  );

  test("interim answers and trailers reach the caller", async () => {
    const hinted = await answerOf({ port: port(), path: "/function/st/hints" });
    expect([hinted.informed, hinted.text]).toEqual([
      [
        [102, undefined],
        [103, "</style.css>; rel=preload"],
      ],
      "hinted",
    ]);
    const summed = await answerOf({
      port: port(),
      path: "/function/st/trailers",
      method: "POST",
      bytes: 10,
      trailer: "up",
    });
    expect([summed.text, summed.trailers["x-sum"]]).toEqual(["xxxxxxxxxx", '{"x-up":"up"}']);
  });

  test("a sender that waits for leave gets it when its function is there, and then its answer", async () => {
    const head = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    const client = openRaw(port(), `POST /function/st HTTP/1.1\r\n${head}`);
    await eventually("leave", () => client.received === "HTTP/1.1 100 Continue\r\n\r\n");
    client.socket.write("hello");
    await eventually("the answer", () => client.received.endsWith("POST / 5"));
    // It is used again, as its body was wanted.
    client.socket.write("GET /function/st/again HTTP/1.1\r\nHost: x\r\n\r\n");
    await eventually("the next answer", () => client.received.endsWith("GET /again 0"));
    client.socket.destroy();
  });

  test("a sender that waits for leave learns without it that there is no function", async () => {
    const head = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    const client = openRaw(port(), `POST /function/nobody HTTP/1.1\r\n${head}`);
    await eventually("the answer", () => client.ended);
    expect(client.received).toMatch(/^HTTP\/1\.1 (404|503) .*\r\nconnection: close\r\n/is);
    client.socket.destroy();
  });

  test("bodies of a gibibyte go both ways in constant memory", async () => {
    const pids = [platform.pid, ...(await descendants(platform.pid))];
    let grown = Number.POSITIVE_INFINITY;
    // What a body leaves behind it leaves each time; what the collector has not come to, only now and then.
    for (let round = 0; round < ROUNDS && grown >= LIMIT; round++) {
      const growth = await growthByLargeBodies(pids, async (bytes) => {
        expect(await sendLarge(at(""), bytes)).toBe(`POST / ${bytes}`);
        expect(await readLarge(at(`/large?bytes=${bytes}`))).toBe(bytes);
      });
      grown = Math.max(...growth.values());
      process.stdout.write(`1 GiB up and down through ${way}: ${Math.round(grown / MIB)} MiB more\n`);
    }
    expect(grown).toBeLessThan(LIMIT);
  }, 180_000);
});

test("a function that does not want a body says so before it is sent", async () => {
  const head = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  const client = openRaw(platform.providerPort, `POST /function/st/unwilling HTTP/1.1\r\n${head}`);
  await eventually("the answer", () => client.ended);
  expect(client.received).toMatch(/^HTTP\/1\.1 413 (?!.*100 Continue).*too much for me/s);
  client.socket.destroy();
});
