import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";

/** What HTTP has beside heads and bodies, from a function's own server through its watchdog and the gateway. */

const SERVER = `
  import { createServer } from "node:http";
  createServer((req, res) => {
    res.writeInformation(103, { Link: "</a.css>; rel=preload" });
    res.writeHead(200, { Trailer: "X-Sum", "X-Path": req.url, "X-TE": req.headers.te ?? "none", "X-Large": "x".repeat(200 * 1024) });
    res.write("body");
    res.addTrailers({ "X-Sum": "abc" });
    res.end();
  }).listen(process.env.http_port, "127.0.0.1");
`;
const CONTEXT = {
  "faaslane.json": JSON.stringify({
    env: { mode: "http", fprocess: `${process.execPath} index.mjs`, upstream_url: "http://127.0.0.1:0" },
  }),
  "index.mjs": SERVER,
};

let platform: Platform;
let remove: () => Promise<void>;
beforeAll(async () => {
  const folder = await temporaryFolder();
  remove = folder.remove;
  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path });
  await buildImage(platform, "server:1", CONTEXT);
  const body = JSON.stringify({ service: "server", image: "server:1" });
  expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
  // Not by fetch, which takes no more than 16 KiB of headers.
  const answers = async () => (await call("/function/server")).head.statusCode === 200;
  await eventually("it answers", answers, 30_000);
}, 90_000);
afterAll(async () => {
  platform.kill("SIGKILL");
  await platform.ended;
  await remove();
});

async function call(path: string): Promise<{ head: IncomingMessage; hints: unknown[]; body: string }> {
  const hints: unknown[] = [];
  const asking = request(platform.url + path, { headers: { TE: "trailers" }, maxHeaderSize: 1024 ** 2 }).end();
  asking.on("information", ({ headers }) => hints.push(headers.link));
  const head = await new Promise<IncomingMessage>((resolve, reject) => {
    asking.once("response", resolve).once("error", reject);
  });
  let body = "";
  for await (const piece of head.setEncoding("utf8")) body += piece as string;
  return { head, hints, body };
}

test("early hints, large headers, trailers and who wants them pass", async () => {
  const { head, hints, body } = await call("/function/server/a?b");
  expect([head.statusCode, body, hints]).toEqual([200, "body", ["</a.css>; rel=preload"]]);
  expect(head.headers).toMatchObject({ trailer: "X-Sum", "x-te": "trailers", "x-path": "/a?b" });
  expect(String(head.headers["x-large"]).length).toBe(200 * 1024);
  expect(head.trailers).toEqual({ "x-sum": "abc" });
});

test("a path as a person types it passes, for calls now and later", async () => {
  const now = await rawRequest(platform.port, Buffer.from("GET /function/server/größe HTTP/1.1\r\nHost: x\r\n\r\n"));
  expect(now?.headers.get("x-path")).toEqual(["/gr%C3%B6%C3%9Fe"]);
  const later = Buffer.from("POST /async-function/server/größe HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  const accepted = await rawRequest(platform.port, later);
  expect(accepted?.status).toBe(202);
  const path = `${accepted?.headers.get("location")?.[0]}/result?wait=20s`;
  const { head, body } = await call(path);
  expect([body, head.headers["x-path"], String(head.headers["x-large"]).length]).toEqual([
    "body",
    "/gr%C3%B6%C3%9Fe",
    200 * 1024,
  ]);
});
