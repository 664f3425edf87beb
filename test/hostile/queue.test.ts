import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** What strangers can do to the queue, against the whole platform. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path });
  await deploy("echo", { mode: "inproc", inproc_handler: "./f.mjs" }, "export default (req, res) => res.end('ok');\n");
}, 60_000);

afterAll(async () => {
  expect((await fetch(`${platform.url}/function/echo`, { method: "POST", body: "still here" })).status).toBe(200);
  await platform.stop();
  await folder.remove();
});

async function deploy(service: string, env: Record<string, string>, handler: string): Promise<void> {
  await buildImage(platform, `${service}:1`, { "faaslane.json": JSON.stringify({ env }), "f.mjs": handler });
  const body = JSON.stringify({ service, image: `${service}:1` });
  expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
}

const post = (headers: Record<string, string>, body: Uint8Array | string, path = "/async-function/echo") =>
  fetch(platform.url + path, { method: "POST", headers, body });

const BATCH = { "x-batch": "true", "content-type": "application/x-ndjson" };

/** The longest of the calls that somebody else makes, one after the other, while `work` goes on. */
async function longestMeanwhile(work: Promise<unknown>): Promise<number> {
  let over = false;
  const end = () => {
    over = true;
  };
  work.then(end, end);
  let longest = 0;
  while (!over) {
    const begun = performance.now();
    const answer = await fetch(`${platform.url}/function/echo`, { method: "POST" });
    await answer.text();
    expect(answer.status).toBe(200);
    longest = Math.max(longest, performance.now() - begun);
  }
  await work;
  return longest;
}

/** For others on a busy machine; what is done in one piece takes seconds. */
const SHORT_MS = 700;

test.each<[attack: string, body: Buffer, status: number]>([
  ["five million brackets", Buffer.alloc(5_000_000, "["), 400],
  ["two million brackets side by side", Buffer.from(`[${"[],".repeat(2_000_000)}1]`), 202],
  ["10 MB of newlines", Buffer.alloc(10_000_000, "\n"), 400],
  ["10 MB of blanks", Buffer.alloc(10_000_000, " \t\r\n"), 400],
])("a batch of %s holds nobody up", async (_attack, body, status) => {
  const sending = Promise.all(Array.from({ length: 4 }, async () => (await post(BATCH, body)).status));
  expect(await longestMeanwhile(sending)).toBeLessThan(SHORT_MS);
  expect(new Set(await sending)).toEqual(new Set([status]));
});

test("the headers of a batch are not copied into the queue without end", async () => {
  const answer = await post({ ...BATCH, "x-large": "x".repeat(100_000) }, "1\n".repeat(10_000));
  expect([answer.status, await answer.text()]).toEqual([413, expect.stringContaining("times 10000 lines")]);
  expect(answer.headers.get("location")).toBeNull();
});

test("uploads that stand still do not keep others from sending", async () => {
  const bytes = 10 * 1024 ** 2;
  const stalled: { readonly socket: Socket; received: string }[] = [];
  for (let i = 0; i < 30; i++) {
    const socket = connect(platform.port, "127.0.0.1");
    const one = { socket, received: "" };
    socket.on("data", (text) => {
      one.received += text;
    });
    socket.on("error", () => undefined); // those that are given up are closed
    socket.write(`POST /async-function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
    await new Promise<void>((sent) => socket.write(Buffer.alloc(bytes - 1), () => sent()));
    stalled.push(one);
  }
  for (let i = 0; i < 5; i++) expect((await post({}, Buffer.alloc(9_000_000))).status).toBe(202);
  await eventually("those who gave way are told and closed", () =>
    stalled.some(({ socket, received }) => received.startsWith("HTTP/1.1 429") && socket.closed),
  );
  for (const { socket } of stalled) socket.destroy();
}, 60_000);

test("names of built-in properties are names like any other, of functions and of headers", async () => {
  const names = ["constructor", "toString", "hasOwnProperty", "__proto__"];
  const handler = `const names = ${JSON.stringify(names)};
    export default (req, res) => {
      for (const name of names) res.setHeader(name, ["1", "2"]);
      res.end(JSON.stringify(Object.entries(req.headers).filter(([name]) => names.some((n) => n.toLowerCase() === name))));
    };\n`;
  await deploy("constructor", { mode: "inproc", inproc_handler: "./f.mjs" }, handler);
  const sent = Object.fromEntries(names.map((name) => [name, "x"]));
  const own = (answer: Response) => names.map((name) => answer.headers.get(name));
  const called = await post(sent, "", "/function/constructor?constructor=1&__proto__=2");
  expect([called.status, own(called)]).toEqual([200, names.map(() => "1, 2")]);
  const accepted = await post({ ...sent, "x-call-id": "__proto__" }, "", "/async-function/constructor?__proto__=2");
  expect(accepted.status).toBe(202);
  const result = await fetch(`${platform.url + accepted.headers.get("location")}/result?wait=20s`);
  expect([result.status, own(result)]).toEqual([200, names.map(() => "1, 2")]);
  expect(await result.json()).toEqual(await called.json());
  expect((await platform.control("/async-function/__proto__")).status).toBe(200);
  expect((await platform.control("/async-function/constructor")).status).toBe(404);
  expect((await platform.control("/system/queue?function=constructor")).status).toBe(200);
});
