import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { startWritten } from "./support/written-function.ts";

const BINARY = "application/octet-stream";
const TEXT = "text/plain; charset=utf-8";

const SOURCE = `
const { Readable, PassThrough } = require("node:stream");
const given = [];
async function* parts(...values) {
  try {
    for (const value of values) yield value;
  } finally {
    given.push("up");
  }
}
async function* endless() {
  try {
    for (;;) {
      yield "x".repeat(1000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    given.push("endless");
  }
}
function* numbers() {
  yield "1";
  yield Buffer.from("2");
}
async function* failing(first) {
  if (first !== undefined) yield first;
  throw new Error("deliberate, half way");
}
const answers = {
  "/generator": () => parts("a", Buffer.from("b"), new Uint8Array([99])),
  "/sync-generator": () => numbers(),
  "/stream": () => Readable.from(["a", "b"]),
  "/bytes-stream": () => Readable.from([Buffer.from("ab")]),
  "/late-stream": () => {
    const stream = new PassThrough();
    setTimeout(() => stream.end("late"), 10);
    return stream;
  },
  "/web-stream": () => new Blob(["ab"]).stream(),
  "/blob": () => new Blob(["<p>"], { type: "text/x" }),
  "/file": () => new File(["ab"], "a.bin"),
  "/response": () => new Response("ab", { status: 201, headers: { "Content-Type": "text/x", "X-One": "1" } }),
  "/response-json": () => Response.json({ a: 1 }),
  "/response-empty": () => new Response(null, { status: 204 }),
  "/form": () => new URLSearchParams({ a: "b c" }),
  "/array-buffer": () => new Uint8Array([97, 98]).buffer,
  "/data-view": () => new DataView(new Uint8Array([97, 98]).buffer),
  "/typed": (_event, context) => context.headers({ "content-type": "text/x" }) && parts("a"),
  "/succeed": (_event, context) => context.status(202).succeed(parts("a")),
  "/cookies": () => {
    const response = new Response("x");
    response.headers.append("set-cookie", "a=1");
    response.headers.append("set-cookie", "b=2");
    return response;
  },
  "/nothing": () => parts(),
  "/fails-first": () => failing(),
  "/fails-later": () => failing("part"),
  "/bad-part": () => parts({ a: 1 }),
  "/bad-header": (_event, context) => context.headers({ "X-Split": "a\\r\\nb" }) && parts("a"),
  "/undefined-header": (_event, context) => context.headers({ "X-Nothing": undefined }) && "x",
  "/endless": () => endless(),
  "/given": () => given,
};
module.exports = async (event, context) => answers[event.path](event, context);
`;

let fn: Awaited<ReturnType<typeof startWritten>>;
beforeAll(async () => {
  fn = await startWritten("node", { "handler.js": SOURCE });
});
afterAll(() => fn?.remove());

test.each<[path: string, status: number, type: string | null, body: string]>([
  ["/generator", 200, TEXT, "abc"],
  ["/sync-generator", 200, TEXT, "12"],
  ["/stream", 200, TEXT, "ab"],
  ["/bytes-stream", 200, BINARY, "ab"],
  ["/late-stream", 200, BINARY, "late"],
  ["/web-stream", 200, BINARY, "ab"],
  ["/blob", 200, "text/x", "<p>"],
  ["/file", 200, BINARY, "ab"],
  ["/response", 201, "text/x", "ab"],
  ["/response-json", 200, "application/json", '{"a":1}'],
  ["/response-empty", 204, null, ""],
  ["/form", 200, "application/x-www-form-urlencoded;charset=UTF-8", "a=b+c"],
  ["/array-buffer", 200, BINARY, "ab"],
  ["/data-view", 200, BINARY, "ab"],
  ["/typed", 200, "text/x", "a"],
  ["/succeed", 202, TEXT, "a"],
  ["/nothing", 200, null, ""],
])("%s is an answer", async (path, status, type, body) => {
  const answer = await fetch(fn.url + path);
  expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([status, type, body]);
});

test("the length of a Blob is known", async () => {
  expect((await fetch(`${fn.url}/blob`)).headers.get("content-length")).toBe("3");
});

test("a Response keeps its headers, and each cookie", async () => {
  expect((await fetch(`${fn.url}/response`)).headers.get("x-one")).toBe("1");
  expect((await fetch(`${fn.url}/cookies`)).headers.getSetCookie()).toEqual(["a=1", "b=2"]);
});

test("HEAD gets the head alone, and gives the source up", async () => {
  const answer = await rawRequest(fn.port, "HEAD /typed HTTP/1.1\r\nHost: f\r\n\r\n");
  expect([answer?.status, answer?.headers.get("content-type"), answer?.body]).toEqual([200, ["text/x"], ""]);
  await rawRequest(fn.port, "HEAD /endless HTTP/1.1\r\nHost: f\r\n\r\n");
});

test("a caller that leaves ends the stream", async () => {
  const answer = await fetch(`${fn.url}/endless`);
  await answer.body?.getReader().cancel();
  await eventually("it is given up", async () =>
    ((await (await fetch(`${fn.url}/given`)).json()) as string[]).includes("endless"),
  );
});

describe("what cannot be sent", () => {
  test.each([
    ["/fails-first", "deliberate, half way"],
    ["/bad-part", "a part of a stream must be text or bytes, not object"],
    ["/bad-header", 'header content ["X-Split"]'],
    ["/undefined-header", 'for header "X-Nothing"'],
  ])("%s is a 500 with the reason in the log", async (path, reason) => {
    expect((await fetch(fn.url + path)).status).toBe(500);
    await eventually("the log has it", () => fn.log().includes(reason));
  });

  test("a stream that fails half way does not look complete", async () => {
    // Head and part may leave together with the end of the connection, which then is all that there is to see.
    const whole = fetch(`${fn.url}/fails-later`).then((answer) => answer.text());
    await expect(whole).rejects.toThrow();
    await eventually("the log has it", () => fn.log().includes("deliberate, half way"));
  });
});

test("an answer received by fetch is passed on unpacked, and says so", async () => {
  const zipped = `module.exports = async () => new Response(require("node:zlib").gzipSync("unpacked"), {
    headers: { "content-encoding": "gzip", "content-type": "text/x" } });`;
  await using other = await startWritten("node", { "handler.js": zipped });
  await using passing = await startWritten(
    "node",
    { "handler.js": "module.exports = () => fetch(process.env.other);" },
    { env: { other: other.url } },
  );
  const answer = await fetch(passing.url);
  expect([answer.headers.get("content-encoding"), answer.headers.get("content-type")]).toEqual([null, "text/x"]);
  expect(await answer.text()).toBe("unpacked");
});
