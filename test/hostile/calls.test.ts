import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";

/** What strangers may call, and how functions may answer, without harm to the gateway, its provider and other callers. */

let provider: FakeProvider;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let gateway: OpenGateway;
let replica: Server;
let answer: RequestListener;
let seen: string[];

beforeEach(async () => {
  folder = await temporaryFolder();
  provider = await FakeProvider.open();
  seen = [];
  answer = (_req, res) => res.end("fine");
  replica = createServer((req, res) => {
    seen.push(`${req.method} ${req.url}`);
    answer(req, res);
  });
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  const env = {
    port: "0",
    metrics_port: "0",
    data_dir: join(folder.path, "data"),
    drain_timeout: "1s",
    read_timeout: "5s",
  };
  const config = loadGatewayConfig({ ...env, functions_provider_url: provider.url.href });
  gateway = await openGateway(config, undefined, createLogger("silent"));
  await eventually("the gateway follows the provider", () => provider.streamCount === 1);
  const { port } = replica.address() as AddressInfo;
  provider.put({ name: "f", endpoints: [{ address: `127.0.0.1:${port}`, instance: "a", state: "ready" }] });
  await eventually("it is known", async () => (await fetch(`${gateway.url}/function/f`)).status === 200);
  seen.length = 0;
  provider.requests.length = 0;
  provider.respond = ({ url }, res) => {
    if (url.startsWith("/system/function/")) res.writeHead(404).end();
    else if (url === "/system/namespaces") res.end('["openfaas-fn"]');
    else res.end('[{"name":"f"}]');
  };
});

afterEach(async () => {
  await gateway.close();
  await provider.close();
  replica.closeAllConnections();
  replica.close();
  await folder.remove();
});

const port = () => Number(new URL(gateway.url).port);
const raw = (text: string) => rawRequest(port(), Buffer.from(text));
const get = (path: string) => raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);

/** @returns the statuses of as many calls as there are paths, all at once */
async function statusesOf(paths: readonly string[]): Promise<Set<number | undefined>> {
  return new Set(await Promise.all(paths.map(async (path) => (await get(path))?.status)));
}
const many = (path: (i: number) => string, count = 400) => Array.from({ length: count }, (_, i) => path(i));

describe("names that nobody deployed", () => {
  test.each<[what: string, path: (i: number) => string]>([
    ["in the usual namespace", (i) => `/function/nobody-${i}`],
    ["in as many namespaces", (i) => `/function/nobody.ns-${i}`],
    ["in escapes", (i) => `/function/%6eobody-${i}`],
    ["one name over and over", () => "/function/nobody"],
  ])("by the hundred, %s, are 404 and few questions", async (_what, path) => {
    expect(await statusesOf(many(path))).toEqual(new Set([404]));
    // Questions take a tenth of the time at most, so a slow machine has more of them.
    expect(provider.requests.length).toBeLessThan(100);
    expect((await get("/function/f"))?.status).toBe(200);
  });

  test.each<[what: string, name: string]>([
    ["of a hundred thousand characters", "a".repeat(100_000)],
    ["of capital letters", "NOBODY"],
    ["with a namespace of two hundred characters", `a.${"b".repeat(200)}`],
    ["that are parts of objects", "constructor"],
    ["that are parts of all objects", "__proto__"],
  ])("%s are 404", async (_what, name) => {
    expect((await get(`/function/${name}`))?.status).toBe(404);
    expect(provider.requests.length).toBeLessThan(2);
  });

  test("are 503 while the provider hangs, and known functions answer meanwhile", async () => {
    provider.respond = () => {};
    const unknown = statusesOf(many((i) => `/function/nobody-${i}`, 50));
    expect((await get("/function/f"))?.status).toBe(200);
    expect(await unknown).toEqual(new Set([503]));
  }, 20_000);
});

describe("targets with bytes beyond ASCII", () => {
  test.each<[what: string, pieces: string[], expected: string[]]>([
    ["in two pieces within the target", ["GET /function/f/a", "ü HTTP/1.1\r\nHost: x\r\n\r\n"], []],
    [
      "in two pieces, the second like a request",
      ["GET /function/f/a", "GET /function/f/ü HTTP/1.1\r\nHost: x\r\n\r\n"],
      [],
    ],
    [
      "behind a body that ends like a request",
      [
        "POST /function/f HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n",
        "0123456789",
        "GET /evil GET /function/f/ü HTTP/1.1\r\nHost: x\r\n\r\n",
      ],
      ["POST /"],
    ],
    [
      "behind another in one piece",
      ["GET /function/f/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /function/f/ü HTTP/1.1\r\nHost: x\r\n\r\n"],
      ["GET /1"],
    ],
  ])("%s become nobody's request", async (_what, pieces, expected) => {
    const socket = connect(port(), "127.0.0.1").resume();
    socket.on("error", () => {});
    for (const piece of pieces) {
      await new Promise((resolve) => socket.write(Buffer.from(piece), resolve));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await eventually("the connection is over", () => socket.destroyed || socket.readableEnded, 10_000);
    expect(seen).toEqual(expected);
    socket.destroy();
  });

  test("by the hundred leave nothing behind", async () => {
    expect(await statusesOf(many((i) => `/function/f/ü${i}`))).toEqual(new Set([200]));
    expect(seen).toHaveLength(400);
    const connections = new Promise<number>((resolve) => replica.getConnections((_error, count) => resolve(count)));
    expect(await connections).toBeLessThanOrEqual(400);
    expect((await get("/function/f"))?.status).toBe(200);
  }, 30_000);
});

describe("answers", () => {
  test("with trailers that frame or route end as they are", async () => {
    answer = (_req, res) => {
      res.writeHead(200, { Trailer: "Host, Content-Type, Set-Cookie, X-Fine" });
      res.write("body");
      res.addTrailers({ Host: "evil", "Content-Type": "text/html", "Set-Cookie": "a=b", "X-Fine": "1" });
      res.end();
    };
    const response = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connect(port(), "127.0.0.1");
      socket.on("data", (piece) => {
        text += piece;
      });
      socket.on("close", () => resolve(text));
      socket.write("GET /function/f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    });
    expect(response.toLowerCase()).toContain("\r\n0\r\nx-fine: 1\r\n\r\n");
    expect(response).not.toContain("evil");
  });

  test("with early hints by the dozen are passed on with a few", async () => {
    answer = (_req, res) => {
      for (let i = 0; i < 50; i++) res.writeInformation(103, { Link: `</${i}>` });
      res.end("fine");
    };
    const socket = connect(port(), "127.0.0.1");
    let text = "";
    socket.on("data", (piece) => {
      text += piece;
    });
    socket.write("GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n");
    await eventually("it is answered", () => text.endsWith("fine"));
    expect(text.match(/103 Early Hints/g)).toHaveLength(10);
    socket.destroy();
  });

  test("with hints that hold line breaks say nothing of their own", async () => {
    answer = (req) => {
      req.socket.write(
        "HTTP/1.1 103 Early Hints\r\nLink: <a>\x00\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
      );
    };
    const response = await get("/function/f");
    expect([200, 500, 502]).toContain(response?.status);
    expect(response?.headers.has("link")).toBe(false);
  });
});
