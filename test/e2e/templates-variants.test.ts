import { spawnSync } from "node:child_process";
import { describe, expect, test } from "@jest/globals";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { missingPrograms } from "../templates/support/programs.ts";
import { startWritten } from "../templates/support/written-function.ts";

const testPython = testNeeding(unlessRequired(missingPrograms("python3")));

describe("the node templates of each age give a handler what theirs gave it", () => {
  const handler = `module.exports = async (event) => ({ body: typeof event.body, query: event.query });`;

  test.each([
    ["node18", "object", { a: { b: "1" }, c: "2" }],
    ["node20", "object", { a: { b: "1" }, c: "2" }],
    ["node22", "undefined", { "a[b]": "1", c: "2" }],
  ])("%s", async (template, body, query) => {
    await using fn = await startWritten(template, { "handler.js": handler });
    expect(await (await fetch(`${fn.url}/?a[b]=1&c=2`)).json()).toEqual({ body, query });
  });

  test("a query that nests too deeply is left out, and the call goes on", async () => {
    await using fn = await startWritten("node20", { "handler.js": handler });
    expect(await (await fetch(`${fn.url}/?a${"[b]".repeat(40)}=1`)).json()).toEqual({ body: "object", query: {} });
  });
});

testPython("python3-http serves the contract of its name", async () => {
  const files = {
    "handler.py": `def handle(event, context):
    if event.method == "GET":
        return {"statusCode": 404, "body": "nothing at " + event.path, "headers": {"X-Seen": event.query.get("q")}}
    return {"body": {"length": len(event.body), "type": event.headers.get("content-type")}}
`,
  };
  await using fn = await startWritten("python3-http", files);
  const missing = await fetch(`${fn.url}/there?q=1`);
  expect([missing.status, missing.headers.get("x-seen"), await missing.text()]).toEqual([
    404,
    "1",
    "nothing at /there",
  ]);
  const posted = await fetch(fn.url, { method: "POST", body: "four", headers: { "content-type": "text/x" } });
  expect(await posted.json()).toEqual({ length: 4, type: "text/x" });
});

test("bash-streaming sends what a script prints as it comes", async () => {
  const files = { "handler.sh": 'echo first\nread -r line\necho "$line"\n' };
  await using fn = await startWritten("bash-streaming", files);
  let sendRest: (() => void) | undefined;
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from("sec"));
      sendRest = () => {
        controller.enqueue(Buffer.from("ond\n"));
        controller.close();
      };
    },
  });
  const answer = await fetch(fn.url, { method: "POST", body, duplex: "half" } as RequestInit);
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("first\n");
  sendRest?.();
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("second\n");
});

describe("python3-flask", () => {
  const missing =
    missingPrograms("python3") ??
    (spawnSync("python3", ["-c", "import flask"]).status === 0 ? undefined : "this machine's python3 has no flask");

  testNeeding(unlessRequired(missing))("serves what Flask makes of the answer, with its request at hand", async () => {
    const files = {
      "handler.py": `from flask import request, jsonify, Response

def handle(req):
    if request.path == "/json":
        return jsonify(text=req, q=request.args.getlist("q")), 201, {"X-Method": request.method}
    if request.path == "/stream":
        return Response((part for part in ["a", "b"]), mimetype="text/event-stream")
    if request.path == "/none":
        return None
    if request.path == "/ä":
        return "found"
    if request.path == "/fail":
        raise ValueError("deliberate")
    return req
`,
    };
    await using fn = await startWritten("python3-flask", files);
    const post = (path: string) => fetch(fn.url + path, { method: "POST", body: "grüße" });
    const told = await post("/json?q=1&q=2");
    expect([told.status, told.headers.get("x-method"), await told.json()]).toEqual([
      201,
      "POST",
      { text: "grüße", q: ["1", "2"] },
    ]);
    const text = await post("/");
    expect([text.headers.get("content-type"), await text.text()]).toEqual(["text/html; charset=utf-8", "grüße"]);
    const stream = await post("/stream");
    expect([stream.headers.get("content-type"), await stream.text()]).toEqual([
      "text/event-stream; charset=utf-8",
      "ab",
    ]);
    expect(await (await post("/none")).text()).toBe("");
    expect(await (await post("/%C3%A4")).text()).toBe("found");
    expect((await post("/fail")).status).toBe(500);
    expect(fn.log()).toContain("deliberate");
    expect((await fetch(fn.url, { method: "HEAD" })).status).toBe(200);
  });
});

describe("typescript", () => {
  test("takes types away, parameter properties and enums among them, in all files that are imported", async () => {
    const files = {
      "handler.ts": `import { greet, type Greeting } from "./lib/greet";
import { Level } from "./level.ts";
export default async (event: { body: string }): Promise<Greeting> => ({ ...greet(event.body), level: Level.High });
`,
      "lib/greet.ts":
        "export interface Greeting { text: string; level?: number }\nclass G { constructor(readonly name: string) {} }\nexport const greet = (name: string): Greeting => ({ text: 'hi ' + new G(name).name });\n",
      "level.ts": "export enum Level { Low, High }\n",
    };
    await using fn = await startWritten("typescript", files);
    const answer = await fetch(fn.url, { method: "POST", body: "Ada", headers: { "content-type": "text/plain" } });
    expect(await answer.json()).toEqual({ text: "hi Ada", level: 1 });
  });

  test("a build script makes the function that main names", async () => {
    const files = {
      "package.json": JSON.stringify({
        main: "out/main.cjs",
        scripts: { build: "mkdir -p out && echo 'exports.handler = async () => \"built\"' > out/main.cjs" },
      }),
    };
    await using fn = await startWritten("typescript", files);
    expect(await (await fetch(fn.url)).text()).toBe("built");
  });

  test("what is no TypeScript fails the build with its file", async () => {
    await expect(startWritten("typescript", { "handler.ts": "export default (" })).rejects.toThrow("handler.ts: ");
  });
});

describe("node-express", () => {
  const bare = { "package.json": "{}" };

  test("an application is the function", async () => {
    const app = `const app = (req, res) => { res.setHeader("x-app", "1"); res.end(req.url); };
app.use = () => app;
app.handle = app;
module.exports = app;`;
    await using fn = await startWritten("node-express", { ...bare, "handler.js": app });
    const answer = await fetch(`${fn.url}/a?b=1`);
    expect([answer.headers.get("x-app"), await answer.text()]).toEqual(["1", "/a?b=1"]);
  });

  test("(event, context) is served as node does", async () => {
    const handler = "module.exports = (event, context) => context.status(201).succeed({ got: event.body });";
    await using fn = await startWritten("node-express", { ...bare, "handler.js": handler });
    const answer = await fetch(fn.url);
    expect([answer.status, await answer.json()]).toEqual([201, { got: {} }]);
  });

  test("(config) sets up the application of the Express that the handler brings", async () => {
    const express = `const make = () => { const app = (req, res) => app.answer(req, res); return Object.assign(app, {
  use: () => app, handle: app, disable: () => {}, get: (path, answer) => { app.answer = answer; } }); };
module.exports = Object.assign(make, { text: () => {}, json: () => {}, urlencoded: () => {}, raw: () => {} });`;
    const files = {
      "package.json": JSON.stringify({ dependencies: { express: "file:./express" } }),
      "express/package.json": '{"name":"express","version":"1.0.0"}',
      "express/index.js": express,
      "handler.js": `module.exports = async (config) => { config.app.get("/", (req, res) => res.end("set up")); };`,
    };
    await using fn = await startWritten("node-express", files);
    expect(await (await fetch(fn.url)).text()).toBe("set up");
  });

  test("(config) without Express says what to add", async () => {
    const files = { ...bare, "handler.js": "module.exports = (config) => {};" };
    await expect(startWritten("node-express", files)).rejects.toThrow("package.json must list express");
  });
});
