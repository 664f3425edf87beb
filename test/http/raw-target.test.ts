import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { escapeTarget } from "../../http/raw-target.ts";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";

describe("what is escaped", () => {
  const escaped = (text: string, { code = "HPE_INVALID_URL", bytesParsed = 5 } = {}) =>
    escapeTarget(Object.assign(new Error(code), { code, rawPacket: Buffer.from(text), bytesParsed }))?.toString();

  test("is the first request's target alone", () => {
    expect(escaped("GET /größe?ü HTTP/1.1\r\nX: ü\r\n\r\nGET /ö HTTP/1.1\r\n\r\n")).toBe(
      "GET /gr%C3%B6%C3%9Fe?%C3%BC HTTP/1.1\r\nX: ü\r\n\r\nGET /ö HTTP/1.1\r\n\r\n",
    );
  });

  test.each<[what: string, text: string]>([
    ["a line without its end", "GET /ü"],
    ["a character that controls", "GET /ü\x01 HTTP/1.1\r\n\r\n"],
    ["a space", "GET /ü b HTTP/1.1\r\n\r\n"],
    ["no method", "/ü HTTP/1.1\r\n\r\n"],
    ["a lower-case method", "get /ü HTTP/1.1\r\n\r\n"],
    ["another protocol", "GET /ü RTSP/1.0\r\n\r\n"],
    ["a later line", "abc\r\nGET /ü HTTP/1.1\r\n\r\n"],
  ])("is not %s", (_what, text) => {
    expect(escaped(text)).toBeUndefined();
  });

  test("is not where something else is wrong, or something further on", () => {
    expect(escaped("GET /ü HTTP/1.1\r\n\r\n", { code: "HPE_INVALID_METHOD" })).toBeUndefined();
    expect(escaped("GET /a HTTP/1.1\r\n\r\nGET /ü HTTP/1.1\r\n\r\n", { bytesParsed: 24 })).toBeUndefined();
  });
});

describe("a server", () => {
  let server: DrainingServer;
  const seen: string[] = [];

  beforeEach(async () => {
    seen.length = 0;
    const handler: Parameters<typeof listen>[0] = async (req, res) => {
      let bytes = 0;
      for await (const piece of req) bytes += (piece as Buffer).length;
      seen.push(`${req.method} ${req.url} ${req.socket.remoteAddress}`);
      if (req.url?.includes("slow")) await new Promise((resolve) => setTimeout(resolve, 300));
      res.end(`${req.method} ${req.url} ${bytes}`);
    };
    // Its first parser, which has given up, still has a deadline.
    const timeouts = { headersTimeout: 100, requestTimeout: 60_000 };
    server = await listen(handler, { port: 0, host: "127.0.0.1", server: timeouts });
  });
  afterEach(() => server.drain(1_000));

  const send = (text: string | Buffer) => rawRequest(server.port, Buffer.from(text));

  test.each<[path: string | Buffer, url: string]>([
    ["/größe", "/gr%C3%B6%C3%9Fe"],
    ["/日本?q=ü", "/%E6%97%A5%E6%9C%AC?q=%C3%BC"],
    ["/a%20b/ü", "/a%20b/%C3%BC"],
    [Buffer.from("/caf\xe9", "latin1"), "/caf%E9"],
    ["/a%20b", "/a%20b"],
  ])("takes a target with bytes beyond ASCII: %s", async (path, url) => {
    const request = Buffer.concat([
      Buffer.from("GET "),
      Buffer.from(path),
      Buffer.from(" HTTP/1.1\r\nHost: x\r\n\r\n"),
    ]);
    expect(await send(request)).toMatchObject({ status: 200, body: `GET ${url} 0` });
    expect(seen).toEqual([`GET ${url} 127.0.0.1`]);
  });

  test("takes a body behind it, that comes in pieces", async () => {
    const socket = connect(server.port, "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1").on("data", (piece) => {
      text += piece;
    });
    socket.write(Buffer.from("POST /ü HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\nab"));
    await new Promise((resolve) => setImmediate(resolve));
    socket.write(Buffer.alloc(299_998, "c"));
    await eventually("it is answered", () => text.endsWith("POST /%C3%BC 300000"));
    // Later targets on the connection would be no different, so it ends.
    expect(text).toContain("Connection: close");
    await eventually("the connection ends", () => socket.destroyed || socket.readableEnded);
  });

  test("takes it as a later request of a connection", async () => {
    const socket = connect(server.port, "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1").on("data", (piece) => {
      text += piece;
    });
    socket.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    await eventually("the first is answered", () => text.endsWith("POST /a 2"));
    socket.write(Buffer.from("GET /ü HTTP/1.1\r\nHost: x\r\n\r\n"));
    await eventually("the second is answered", () => text.endsWith("GET /%C3%BC 0"));
    socket.destroy();
  });

  test("does not cut an answer that takes longer than the head may", async () => {
    expect(await send("GET /slow/ü HTTP/1.1\r\nHost: x\r\n\r\n")).toMatchObject({ status: 200 });
  });

  test("finishes it when it is told to stop", async () => {
    const answer = send("GET /slow/ü HTTP/1.1\r\nHost: x\r\n\r\n");
    await eventually("it is there", () => seen.length === 1);
    await server.drain(5_000);
    expect(await answer).toMatchObject({ status: 200, body: "GET /slow/%C3%BC 0" });
  });

  test.each([
    "GET /ü\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /ü HTTP/1.1\r\nHost: ü\x01\r\n\r\n",
    "GET /ü HTTP/1.1\r\nno header\r\n\r\n",
  ])("refuses what is wrong otherwise: %j", async (text) => {
    expect(await send(text)).toMatchObject({ status: 400 });
    expect(seen).toEqual([]);
  });
});
