import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { uploadThenCall } from "../support/upload-then-call.ts";
import { layOut } from "./support/build-context.ts";
import { type FunctionProcess, startFunction } from "./support/function-process.ts";

const JSON_TYPE = "application/json; charset=utf-8";
const HTML = "text/html; charset=utf-8";
const TEXT = "text/plain; charset=utf-8";

describe("a handler with (event, context)", () => {
  let fn: FunctionProcess;
  beforeAll(async () => {
    fn = await startFunction("node", { handler: "node", secrets: { one: "s3cret\n" } });
  });
  afterAll(() => fn?.remove());

  const post = (type: string | undefined, body: string | Buffer, headers: Record<string, string> = {}) =>
    fetch(`${fn.url}/describe`, {
      method: "POST",
      body: Buffer.from(body),
      headers: { ...(type !== undefined && { "Content-Type": type }), ...headers },
    });

  test.each<[rule: string, type: string | undefined, sent: string | Buffer, kind: string, body: unknown]>([
    ["no type is text", undefined, "grüße", "string", "grüße"],
    ["text", "text/plain", "grüße", "string", "grüße"],
    ["text in another charset", 'text/plain; charset="ISO-8859-1"', Buffer.from([0xfc]), "string", "ü"],
    ["text without its byte order mark", "text/csv", "\ufeffa", "string", "a"],
    ["JSON", "application/json", '{"a":["ä",1]}', "object", { a: ["ä", 1] }],
    ["JSON with a charset", "application/json; charset=UTF-8", "[]", "object", []],
    ["a kind of JSON", "application/cloudevents+json", '{"id":1}', "object", { id: 1 }],
    ["form", "application/x-www-form-urlencoded", "a=1&a=2&b=c+d%21", "object", { a: ["1", "2"], b: "c d!" }],
    ["binary", "application/octet-stream", Buffer.from([0, 255]), "buffer", "00ff"],
    ["multipart", "multipart/form-data; boundary=x", "--x--", "buffer", Buffer.from("--x--").toString("hex")],
    ["an unknown type", "application/xml", "<a/>", "buffer", Buffer.from("<a/>").toString("hex")],
  ])("reads %s", async (_rule, type, sent, kind, body) => {
    const answer = await (await post(type, sent)).json();
    expect(answer).toEqual({ kind, body, method: "POST", query: {}, path: "/describe" });
  });

  test.each<[form: string, object: unknown]>([
    ["a[b]=1&a[c][d]=2", { a: { b: "1", c: { d: "2" } } }],
    ["a[]=1&a[]=2", { a: ["1", "2"] }],
    ["a[]=1", { a: ["1"] }],
    ["a[1]=y&a[0]=x", { a: ["y", "x"] }],
    ["a[0][n]=1&a[1][n]=2", { a: [{ n: "1" }, { n: "2" }] }],
    ["a=1&a[b]=2", { a: { "0": "1", b: "2" } }],
    ["0=a", { "0": "a" }],
    ["a[=1&b]=2&[c]=3&=4", { "a[": "1", "b]": "2", "[c]": "3" }],
    ["__proto__[polluted]=1&a[__proto__]=2&b=3", { b: "3" }],
  ])("reads the form %s", async (form, object) => {
    expect(await (await post("application/x-www-form-urlencoded", form)).json()).toHaveProperty("body", object);
  });

  test.each<
    [rule: string, type: string, sent: string | Buffer, headers: Record<string, string>, status: number, says: string]
  >([
    ["bad JSON", "application/json", "{", {}, 400, "not valid JSON"],
    ["a JSON scalar", "application/json", "1", {}, 400, "object or array"],
    ["JSON over its limit", "application/json", `["${"x".repeat(102_400)}"]`, {}, 413, "MAX_JSON_SIZE"],
    ["text over its limit", "text/plain", "x".repeat(102_401), {}, 413, "MAX_TEXT_SIZE"],
    ["binary over its limit", "application/pdf", "x".repeat(102_401), {}, 413, "MAX_RAW_SIZE"],
    [
      "a body that inflates over its limit",
      "text/plain",
      gzipSync("x".repeat(102_401)),
      { "Content-Encoding": "gzip" },
      413,
      "MAX_TEXT_SIZE",
    ],
    ["a body that is not gzip", "text/plain", "x", { "Content-Encoding": "gzip" }, 400, "gzip"],
    ["an unknown coding", "text/plain", "x", { "Content-Encoding": "zip" }, 415, '"zip"'],
    ["an unknown charset", "text/plain; charset=klingon", "x", {}, 415, '"klingon"'],
    ["too many form fields", "application/x-www-form-urlencoded", "a&".repeat(1001), {}, 413, "1000 parameters"],
    ["too deep a form field", "application/x-www-form-urlencoded", `a${"[a]".repeat(40)}=1`, {}, 400, "32 levels"],
  ])("refuses %s", async (_rule, type, sent, headers, status, says) => {
    const answer = await post(type, sent, headers);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([status, TEXT]);
    expect(await answer.text()).toContain(says);
  });

  test("reads a body right at its limit", async () => {
    const answer = await (await post("text/plain", "x".repeat(102_400))).json();
    expect(answer).toMatchObject({ body: "x".repeat(102_400) });
  });

  test("reads a compressed body", async () => {
    const answer = await post("application/json", gzipSync('{"a":1}'), { "Content-Encoding": "gzip" });
    expect(await answer.json()).toMatchObject({ body: { a: 1 } });
  });

  test("refuses a chunked body as soon as it is too long", async () => {
    const chunk = `8000\r\n${"x".repeat(0x8000)}\r\n`;
    const request = `POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(4)}`; // never ends
    expect((await rawRequest(fn.port, request))?.status).toBe(413);
  });

  test("serves on after a caller leaves in the middle of a body", async () => {
    const leaving = rawRequest(fn.port, "POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 10\r\n\r\nabc", 100);
    await expect(leaving).rejects.toThrow("no complete answer");
    await eventually("the loss is in the log", () => fn.log().includes("a request's body could not be read"));
    expect((await fetch(`${fn.url}/text`)).status).toBe(200);
  });

  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("passes %s on", async (method) => {
    const answer = await fetch(`${fn.url}/a%20b/?q=%C3%A4&q=2&__proto__=x`, { method, headers: { "X-Probe": "yes" } });
    expect(await answer.json()).toEqual({
      kind: method === "GET" || method === "OPTIONS" || method === "DELETE" ? "undefined" : "string",
      ...(!(method === "GET" || method === "OPTIONS" || method === "DELETE") && { body: "" }),
      method,
      query: JSON.parse('{"q":["ä","2"],"__proto__":"x"}'),
      path: "/a%20b/",
      probe: "yes",
    });
  });

  test("answers HEAD with the length and without the body", async () => {
    const answer = await rawRequest(fn.port, "HEAD /text HTTP/1.1\r\nHost: f\r\n\r\n");
    expect([answer?.status, answer?.headers.get("content-length"), answer?.body]).toEqual([200, ["7"], ""]);
  });

  test.each<[path: string, status: number, type: string | null, body: string]>([
    ["/text", 200, HTML, "grüße"],
    ["/nothing", 200, null, ""],
    ["/null", 200, null, ""],
    ["/list", 200, JSON_TYPE, '[1,"zwei"]'],
    ["/number", 200, JSON_TYPE, "42"],
    ["/no-content", 204, null, ""],
    ["/created", 201, JSON_TYPE, '{"id":1}'],
    ["/typed", 200, "text/css; charset=utf-8", "a{}"],
    ["/own-length", 200, HTML, "four"],
    ["/asked", 200, JSON_TYPE, '{"status":200,"headers":{},"called":0}'],
    ["/callback", 200, HTML, "called back"],
    ["/callback-error", 500, TEXT, "Error: called back"],
    ["/fail", 500, TEXT, "no quota"],
    ["/fail-teapot", 418, TEXT, "Error: short and stout"],
    ["/fail-object", 500, JSON_TYPE, '{"code":7}'],
    ["/throw", 500, TEXT, "Error: deliberate"],
    ["/throw-created", 500, TEXT, "Error: deliberate"],
    ["/throw-missing", 404, TEXT, "Error: no such thing"],
    ["/twice", 200, HTML, "first"],
    ["/bad-header", 500, TEXT, "the function's answer cannot be sent\n"],
    ["/bad-status", 500, TEXT, "the function's answer cannot be sent\n"],
    ["/bad-value", 500, TEXT, "the function's answer cannot be sent\n"],
    ["/secret?name=one", 200, HTML, "s3cret"],
    [
      "/secret?name=two",
      500,
      TEXT,
      'Error: this function has no secret "two": list it under "secrets" in the stack file',
    ],
    ["/secret?name=../one", 500, TEXT, 'Error: "../one" cannot be the name of a secret'],
  ])("answers %s", async (path, status, type, body) => {
    const answer = await fetch(fn.url + path);
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([status, type, body]);
  });

  test.each([
    ["/buffer", "00ff80"],
    ["/bytes", "0102"],
  ])("sends the bytes of %s as they are", async (path, hex) => {
    const answer = await fetch(fn.url + path);
    expect(answer.headers.get("content-type")).toBe("application/octet-stream");
    expect(Buffer.from(await answer.arrayBuffer()).toString("hex")).toBe(hex);
  });

  test("sends the function's headers, with a failure too", async () => {
    expect((await fetch(`${fn.url}/cookies`)).headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect((await fetch(`${fn.url}/created`)).headers.get("location")).toBe("/1");
    expect((await fetch(`${fn.url}/fail`)).headers.get("x-reason")).toBe("quota");
    const replaced = await fetch(`${fn.url}/replaced`);
    expect([replaced.headers.get("x-one"), replaced.headers.get("x-two")]).toEqual([null, "2"]);
    expect((await fetch(`${fn.url}/bad-header`)).headers.get("x-injected")).toBeNull();
  });

  test("logs what failed with its stack, and a second answer", async () => {
    await fetch(`${fn.url}/throw`);
    await fetch(`${fn.url}/twice`);
    await eventually(
      "both are in the log",
      () => /Error: deliberate\n +at /.test(fn.log()) && fn.log().includes("more than once"),
    );
  });

  test("keeps a connection alive over answers, failures and refusals", async () => {
    const requests = ["GET /text", "GET /throw", "GET /no-content", "GET /own-length"].map(
      (line) => `${line} HTTP/1.1\r\nHost: f\r\n\r\n`,
    );
    const refused = `POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{`;
    const last = "GET /list HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n";
    const answers = await pipelined(fn.port, [...requests, refused, last].join(""));
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(
      [200, 500, 204, 200, 400, 200].map((status) => `HTTP/1.1 ${status}`),
    );
  });

  test("answers calls side by side", async () => {
    const until = join(fn.scratch, "release");
    const held = Array.from({ length: 20 }, () => fetch(`${fn.url}/hold?until=${until}`));
    await eventually("all calls are held", () => fn.log().split("holding").length > 20);
    expect((await fetch(`${fn.url}/text`)).status).toBe(200);
    await writeFile(until, "");
    for (const answer of held) expect(await (await answer).text()).toBe("held");
  });

  test("sends a large answer whole", async () => {
    expect((await (await fetch(`${fn.url}/big?size=5000000`)).text()).length).toBe(5_000_000);
  });
});

/** All that comes back until the other side closes. */
async function pipelined(port: number, requests: string): Promise<string> {
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  socket.write(requests);
  let received = "";
  for await (const text of socket) received += text;
  return received;
}

test("a refused upload holds up no other call on its connection", async () => {
  const fn = await startFunction("node", { handler: "node" });
  try {
    for (const bytes of [200_000, 20_000_000]) {
      const { statuses, text, tookMs } = await uploadThenCall(fn.port, "/describe", bytes);
      expect(statuses[0]).toBe(413);
      expect(text).toContain("MAX_TEXT_SIZE");
      expect(tookMs).toBeLessThan(4_000);
    }
  } finally {
    await fn.remove();
  }
});

describe("a handler that names a callback", () => {
  let fn: FunctionProcess;
  beforeAll(async () => {
    fn = await startFunction("node", { handler: "node-callback" });
  });
  afterAll(() => fn?.remove());

  test("is an ES module that wins over the sample, and may answer after it has returned", async () => {
    expect(existsSync(join(fn.scratch, "../function/handler.js"))).toBe(true);
    expect(await (await fetch(`${fn.url}/a`)).json()).toEqual({ path: "/a" });
    expect(await (await fetch(`${fn.url}/succeed`)).text()).toBe("later, by context");
    const failed = await fetch(`${fn.url}/fail`);
    expect([failed.status, await failed.text()]).toEqual([500, "Error: later"]);
  });
});

describe("a handler may be", () => {
  const say = 'async () => "heard"';
  test.each([
    ["CommonJS", "handler.js", `module.exports = ${say};`],
    ["an ES module in a .js file", "handler.js", `export default ${say};`],
    ["a CommonJS module compiled from one", "handler.cjs", `exports.__esModule = true; exports.default = ${say};`],
    ["a named export", "handler.mjs", `export const handler = ${say};`],
    ["a plain function", "handler.js", 'module.exports = () => "heard";'],
    ["an async arrow behind a top-level await", "handler.mjs", `await null; export default ${say};`],
  ])("%s", async (_rule, file, source) => {
    const sample = await layOut("node");
    try {
      const dir = join(sample.dir, "mine");
      await mkdir(dir);
      await writeFile(join(dir, file), source);
      const fn = await startFunction("node", { handler: dir });
      expect(await (await fetch(fn.url)).text().finally(fn.remove)).toBe("heard");
    } finally {
      await sample.remove();
    }
  });

  test("nothing else: what exports no function does not start", async () => {
    const sample = await layOut("node");
    try {
      const dir = join(sample.dir, "mine");
      await mkdir(dir);
      await writeFile(join(dir, "handler.js"), "module.exports = {};");
      await expect(startFunction("node", { handler: dir })).rejects.toThrow("handler.js exports no function");
    } finally {
      await sample.remove();
    }
  });
});

describe("settings", () => {
  test("RAW_BODY gives every body as a Buffer, up to MAX_RAW_SIZE", async () => {
    const fn = await startFunction("node", { handler: "node", env: { RAW_BODY: "true", MAX_RAW_SIZE: "1kb" } });
    try {
      const post = (body: string) =>
        fetch(fn.url, { method: "POST", body, headers: { "Content-Type": "application/json" } });
      expect(await (await post('{"a":1}')).json()).toMatchObject({
        kind: "buffer",
        body: Buffer.from('{"a":1}').toString("hex"),
      });
      expect(await (await fetch(fn.url)).json()).toMatchObject({ kind: "buffer", body: "" });
      expect((await post("x".repeat(1025))).status).toBe(413);
    } finally {
      await fn.remove();
    }
  });

  test("a size that is none stops the function with a word about it", async () => {
    const starting = startFunction("node", { env: { MAX_JSON_SIZE: "large" } });
    await expect(starting).rejects.toThrow('MAX_JSON_SIZE: "large" is not a size');
  });
});

test("SIGTERM lets a call under way finish", async () => {
  const fn = await startFunction("node", { handler: "node" });
  try {
    const until = join(fn.scratch, "release");
    const held = rawRequest(fn.port, `GET /hold?until=${until} HTTP/1.1\r\nHost: f\r\n\r\n`);
    await eventually("the call is under way", () => fn.log().includes("holding"));
    const ended = fn.terminate();
    await eventually("new calls are turned away", async () => !(await answers(fn.url)));
    await writeFile(until, "");
    expect((await held)?.body).toBe("held");
    expect(await ended).toBe(0);
  } finally {
    await fn.remove();
  }
});

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    () => true,
    () => false,
  );

describe("the install step", () => {
  test("installs nothing, and makes no folder, without dependencies", async () => {
    const context = await layOut("node");
    try {
      expect(existsSync(join(context.dir, "function/node_modules"))).toBe(false);
    } finally {
      await context.remove();
    }
  });

  test("installs the dependencies of function/package.json", async () => {
    const handler = await layOut("node");
    try {
      // A dependency on a folder needs no registry.
      const dir = join(handler.dir, "function");
      await writeFile(join(dir, "package.json"), JSON.stringify({ dependencies: { local: "file:./local" } }));
      await mkdir(join(dir, "local"));
      await writeFile(join(dir, "local/package.json"), JSON.stringify({ name: "local", version: "1.0.0" }));
      await writeFile(join(dir, "local/index.js"), "module.exports = 'from the dependency';");
      await writeFile(join(dir, "handler.js"), "module.exports = async () => require('local');");
      const fn = await startFunction("node", { handler: dir });
      try {
        expect(await (await fetch(fn.url)).text()).toBe("from the dependency");
      } finally {
        await fn.remove();
      }
    } finally {
      await handler.remove();
    }
  });
});
