import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect } from "@jest/globals";
import { decodeHttp, encodeBinary, encodeStructured } from "../../events/codec/http.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { missingPrograms } from "./support/programs.ts";
import { startWritten } from "./support/written-function.ts";

/** Tells what it got, or answers what it was told to. */
const NODE = `
const shown = (value) => Buffer.isBuffer(value) ? { hex: value.toString("hex") } : value;
module.exports = async (event, context) => {
  const { cloudEvent } = event;
  if (event.path === "/reply") return { specversion: "1.0", source: "/ü", type: "done", subject: cloudEvent?.id, data: { ok: true } };
  if (event.path === "/text") return { specversion: "1.0", id: "7", source: "/s", type: "done", data: "grüße" };
  if (event.path === "/bare") return context.headers({ "X-Own": "1" }).succeed({ specversion: "1.0", id: "7", source: "/s", type: "done", n: 3, b: true });
  if (event.path === "/bad-name") return { specversion: "1.0", source: "/s", type: "t", Bad_Name: 1 };
  if (event.path === "/no-source") return { specversion: "1.0", type: "t" };
  return { has: "cloudEvent" in event, keys: Object.keys(event), event: cloudEvent && { ...cloudEvent, data: shown(cloudEvent.data) } };
};`;
/** The Express of this project, which functions bring by themselves. */
const EXPRESS_PATH = JSON.stringify(createRequire(import.meta.url).resolve("express"));
const EXPRESS = `
const shown = (value) => Buffer.isBuffer(value) ? { hex: value.toString("hex") } : value;
const answer = (req, res) => {
  const { cloudEvent } = req;
  if (cloudEvent !== req.cloudEvent) throw new Error("another one");
  const plain = !cloudEvent && { specversion: "1.0", source: "/ü", type: "done", data: { ok: true } };
  if (req.path === "/reply") return plain ? res.json(plain) : res.cloudEvent({ specversion: "1.0", source: "/ü", type: "done", subject: cloudEvent?.id, data: { ok: true } });
  if (req.path === "/text") return res.cloudEvent({ specversion: "1.0", id: "7", source: "/s", type: "done", data: "grüße" });
  if (req.path === "/bare") return res.cloudEvent({ specversion: "1.0", id: "7", source: "/s", type: "done", n: 3, b: true });
  if (req.path === "/bad-name") return res.cloudEvent({ specversion: "1.0", source: "/s", type: "t", Bad_Name: 1 });
  if (req.path === "/no-source") return res.cloudEvent({ specversion: "1.0", type: "t" });
  return res.json({ has: cloudEvent !== undefined, event: cloudEvent && { ...cloudEvent, data: shown(cloudEvent.data) } });
};`;
/** Of those who write the application themselves, parsers and all. */
const OWN_APP = `const express = require(${EXPRESS_PATH});${EXPRESS}
const app = express();
app.use(express.json({ strict: false, type: ["json", "+json"] }), express.text(), express.raw({ limit: "2mb" }), answer);
app.use((error, req, res, next) => { console.error(error); res.status(500).end(); });
module.exports = app;`;
const SET_UP = `${EXPRESS}
module.exports = async ({ app }) => {
  app.use(answer);
  app.use((error, req, res, next) => { console.error(error); res.status(error.status ?? 500).end(); });
};`;
const BROUGHT = {
  "package.json": JSON.stringify({ dependencies: { express: "file:./express" } }),
  "express/package.json": '{"name":"express","version":"1.0.0"}',
  "express/index.js": `module.exports = require(${EXPRESS_PATH});`,
};
const FLASK = `
from flask import g, request

def shown(value):
    return {"hex": value.hex()} if isinstance(value, bytes) else value

def handle(req):
    ce = g.cloud_event
    if request.path == "/reply":
        return {"specversion": "1.0", "source": "/ü", "type": "done", "subject": ce and ce["id"], "data": {"ok": True}}
    if request.path == "/text":
        return {"specversion": "1.0", "id": "7", "source": "/s", "type": "done", "data": "grüße"}
    if request.path == "/bare":
        return {"specversion": "1.0", "id": "7", "source": "/s", "type": "done", "n": 3, "b": True}
    if request.path == "/bad-name":
        return {"specversion": "1.0", "source": "/s", "type": "t", "Bad_Name": 1}
    if request.path == "/no-source":
        return {"specversion": "1.0", "type": "t"}
    if ce is None:
        return {"has": False}
    return {"has": True, "event": {**ce, **({"data": shown(ce["data"])} if "data" in ce else {})}}
`;
const PYTHON = `
def shown(value):
    return {"hex": value.hex()} if isinstance(value, bytes) else value

def handle(event, context):
    ce = event.cloud_event
    assert ce is event.cloudEvent
    if event.path == "/reply":
        return {"specversion": "1.0", "source": "/ü", "type": "done", "subject": ce and ce["id"], "data": {"ok": True}}
    if event.path == "/text":
        return {"specversion": "1.0", "id": "7", "source": "/s", "type": "done", "data": "grüße"}
    if event.path == "/bare":
        return {"specversion": "1.0", "id": "7", "source": "/s", "type": "done", "n": 3, "b": True}
    if event.path == "/bad-name":
        return {"specversion": "1.0", "source": "/s", "type": "t", "Bad_Name": 1}
    if event.path == "/no-source":
        return {"specversion": "1.0", "type": "t"}
    if ce is None:
        return {"has": False}
    return {"has": True, "event": {**ce, **({"data": shown(ce["data"])} if "data" in ce else {})}}
`;

const needsPython = unlessRequired(missingPrograms("python3"));
const hasFlask = () => spawnSync("python3", ["-c", "import flask"]).status === 0;
const needsFlask = needsPython ?? unlessRequired(hasFlask() ? undefined : "this machine's python3 has no flask");

describe.each<[template: string, files: Record<string, string>, run: ReturnType<typeof testNeeding>, missing: unknown]>(
  [
    ["node", { "handler.js": NODE }, testNeeding(undefined), undefined],
    ["node-express", { "package.json": "{}", "handler.js": OWN_APP }, testNeeding(undefined), undefined],
    ["node-express", { "handler.js": SET_UP, ...BROUGHT }, testNeeding(undefined), undefined],
    ["python3", { "handler.py": PYTHON }, testNeeding(needsPython), needsPython],
    ["python3-flask", { "handler.py": FLASK }, testNeeding(needsFlask), needsFlask],
  ],
)("a handler of the template %s", (template, files, run, missing) => {
  let fn: Awaited<ReturnType<typeof startWritten>>;
  beforeAll(async () => {
    if (!missing) fn = await startWritten(template, files);
  });
  afterAll(() => fn?.remove());

  const attributes = { specversion: "1.0", id: "7", source: "/s", type: "t", subject: 'Euro € "q" 100%', extra: "x" };
  const post = (path: string, { headers, body }: { headers: object; body: Buffer }) =>
    fetch(fn.url + path, { method: "POST", headers: headers as Record<string, string>, body: new Uint8Array(body) });
  const binary = (contentType?: string, data?: string | Buffer) =>
    encodeBinary({
      attributes: { ...attributes, ...(contentType !== undefined && { datacontenttype: contentType }) },
      ...(data !== undefined && { data: Buffer.from(data as string) }),
    });

  run.each<[what: string, contentType: string | undefined, data: string | Buffer | undefined, expected: object]>([
    ["an object", "application/json", '{"a":["ä"]}', { data: { a: ["ä"] } }],
    ["a number", "application/json", "12", { data: 12 }],
    ["text", "text/plain", "grüße", { data: "grüße" }],
    ["bytes", "application/octet-stream", Buffer.from([0, 255]), { data: { hex: "00ff" } }],
    ["nothing", undefined, undefined, {}],
  ])("gets an event in headers parsed, with %s as data", async (_what, contentType, data, expected) => {
    const answer = (await (await post("/", binary(contentType, data))).json()) as { event: object };
    const type = contentType === undefined ? {} : { datacontenttype: contentType };
    expect(answer.event).toEqual({ ...attributes, ...type, ...expected });
  });

  run("gets an event as JSON parsed, with its bytes as bytes", async () => {
    const json = { attributes: { ...attributes, datacontenttype: "application/json" }, data: Buffer.from('{"a":1}') };
    expect(await (await post("/", encodeStructured(json))).json()).toMatchObject({
      event: { ...attributes, data: { a: 1 } },
    });
    const bytes = { attributes: { ...attributes, datacontenttype: "image/x" }, data: Buffer.from([255]) };
    expect(await (await post("/", encodeStructured(bytes))).json()).toMatchObject({ event: { data: { hex: "ff" } } });
  });

  run("gets an event as large as a broker takes", async () => {
    const data = Buffer.alloc(1024 * 1024 - 1_000, 7);
    const answer = await post("/", binary("application/octet-stream", data));
    const { event } = (await answer.json()) as { event: { data: { hex: string } } };
    expect([answer.status, event.data.hex.length]).toEqual([200, data.length * 2]);
  });

  run("gets none with what is no event", async () => {
    const answer = await post("/", {
      headers: { "content-type": "application/json", "ce-id": "7" },
      body: Buffer.from("{}"),
    });
    expect(await answer.json()).toMatchObject({ has: false });
  });

  run("returns an event, which goes out as a reply in headers", async () => {
    const answer = await post("/reply", binary("application/json", "{}"));
    const [reply] = decodeHttp(Object.fromEntries(answer.headers), Buffer.from(await answer.arrayBuffer()));
    expect(answer.status).toBe(200);
    expect(reply).toEqual({
      attributes: {
        specversion: "1.0",
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        source: "/ü",
        type: "done",
        subject: "7",
        datacontenttype: "application/json",
      },
      data: Buffer.from(template.startsWith("node") ? '{"ok":true}' : '{"ok": true}'),
    });
    const text = await post("/text", binary());
    expect([text.headers.get("content-type"), await text.text()]).toEqual(["text/plain; charset=utf-8", "grüße"]);
  });

  run("returns an event without data, with numbers and booleans", async () => {
    const answer = await post("/bare", binary());
    expect(Object.fromEntries(answer.headers)).toMatchObject({ "ce-n": "3", "ce-b": "true", "ce-id": "7" });
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([200, null, ""]);
  });

  run("returns what looks like an event to a plain request, and it is plain JSON as ever", async () => {
    const answer = await fetch(`${fn.url}/reply`, { method: "POST", body: "x" });
    expect(answer.headers.get("ce-type")).toBeNull();
    expect(await answer.json()).toMatchObject({ specversion: "1.0", type: "done", data: { ok: true } });
  });

  run.each(["/bad-name", "/no-source"])("fails with %s, and says so in its log alone", async (path) => {
    const answer = await post(path, binary());
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toMatch(/Bad_Name|source/);
  });
});
