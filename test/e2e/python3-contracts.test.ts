import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { rawRequest } from "../support/raw-http.ts";
import { TEMPLATES } from "../templates/support/build-context.ts";
import type { FunctionOptions } from "../templates/support/function-process.ts";
import { missingPrograms } from "../templates/support/programs.ts";
import { startWritten } from "../templates/support/written-function.ts";

const test = testNeeding(unlessRequired(missingPrograms("python3")));

const JSON_TYPE = "application/json";

const start = (source: string, options?: FunctionOptions) => startWritten("python3", { "handler.py": source }, options);

const answerTo = async (source: string, init: RequestInit = {}, path = "/", options?: FunctionOptions) => {
  await using fn = await start(source, options);
  const answer = await fetch(fn.url + path, { method: "POST", ...init });
  return [answer.status, answer.headers.get("content-type"), await answer.text()];
};

describe("handle(req)", () => {
  test.each<[rule: string, source: string, sent: string, type: string | null, body: string]>([
    ["gets text, and what it returns is printed", "return req.upper()", "grüße", null, "GRÜSSE\n"],
    ["answers nothing by returning nothing", "pass", "x", null, ""],
    ["answers with what it prints", "print('one'); print(req)", "two", null, "one\ntwo\n"],
    ["and with what it returns behind that", "print('one'); return 2", "", null, "one\n2\n"],
    ["may write bytes", "import sys; sys.stdout.buffer.write(b'\\xc3\\xa4')", "", null, "ä"],
    ["may exit when it is done", "print('done'); raise SystemExit(0)", "", null, "done\n"],
    ["may return what becomes JSON", "return {'said': req}", "x", "application/json", '{"said": "x"}'],
    ["may return what Flask takes", "return req, 201, {'Content-Type': 'text/x'}", "x", "text/x", "x"],
  ])("%s", async (_rule, source, sent, type, body) => {
    const status = type === "text/x" ? 201 : 200;
    expect(await answerTo(`def handle(req):\n  ${source}\n`, { body: sent })).toEqual([status, type, body]);
  });

  test("finds the rest of the request in its environment, call by call", async () => {
    const source = `
import os
from os import environ
from threading import Barrier
BOTH = Barrier(2, timeout=10)
def handle(req):
    BOTH.wait()
    names = ["Http_Method", "Http_Path", "Http_Query", "Http_X_Api_Key", "Http_Content_Length"]
    assert dict(environ)["Http_Path"] == os.getenv("Http_Path") and "Http_Nothing" not in environ
    return ";".join(environ.get(name, "-") for name in names)
`;
    await using fn = await start(source);
    const call = async (path: string, key: string) =>
      (await fetch(fn.url + path, { method: "PUT", body: key, headers: { "x-API-key": key } })).text();
    expect(await Promise.all([call("/a%20b?q=1", "k"), call("/c", "kk")])).toEqual([
      "PUT;/a b;q=1;k;1\n",
      "PUT;/c;-;kk;2\n",
    ]);
  });

  test("gets bytes with RAW_BODY, and text gives odd bytes back as they were", async () => {
    const odd = Buffer.from([0xff, 0x41, 0xc3]);
    for (const env of [{ RAW_BODY: "true" }, {}]) {
      await using fn = await start("def handle(req):\n  return (req, 200)\n", { env });
      const answer = await fetch(fn.url, { method: "POST", body: odd });
      expect(Buffer.from(await answer.arrayBuffer()).equals(odd)).toBe(true);
    }
  });

  test("fails as a 500, its output in the log", async () => {
    await using fn = await start("def handle(req):\n  print('so far')\n  raise SystemExit(3)\n");
    expect((await fetch(fn.url)).status).toBe(500);
  });
});

test("a signature that fits decides the contract", async () => {
  const rows: [source: string, contract: string][] = [
    ["def handle(event, context): pass", "event"],
    ["def handle(e, c): pass", "event"],
    ["def handle(event, context=None): pass", "event"],
    ["def handle(*args): pass", "event"],
    ["def handle(event, context, *, debug=False): pass", "event"],
    ["handle = lambda event, context: None", "event"],
    ["class H:\n  def run(self, event, context): pass\nhandle = H().run", "event"],
    ["class H:\n  def __call__(self, event, context): pass\nhandle = H()", "event"],
    ["import functools\ndef h(x, event, context): pass\nhandle = functools.partial(h, 1)", "event"],
    ["def handle(event): pass", "event alone"],
    ["def handle(req): pass", "text"],
    ["def handle(req, **more): pass", "text"],
    ["def handle(req='{}'): pass", "text"],
    ["class H:\n  @staticmethod\n  def run(req): pass\nhandle = H.run", "text"],
    [
      "import functools\ndef d(f):\n  @functools.wraps(f)\n  def w(*a): return f(*a)\n  return w\n@d\ndef handle(req): pass",
      "text",
    ],
  ];
  const script = `
import json, sys
from faaslane_runtime.contract import contract_of, signature_of
def contract(source):
    names = {}
    exec(source, names)
    return contract_of(signature_of(names["handle"]))
json.dump([contract(source) for source in json.load(sys.stdin)], sys.stdout)`;
  const running = promisify(execFile)("python3", ["-B", "-c", script], { cwd: join(TEMPLATES, "python3") });
  running.child.stdin?.end(JSON.stringify(rows.map(([source]) => source)));
  expect(JSON.parse((await running).stdout)).toEqual(rows.map(([, contract]) => contract));
});

describe("a handler that no call can be made to fails the build", () => {
  test.each([
    ["three parameters", "def handle(a, b, c):\n  pass", "handle(a, b, c) in function/handler.py fits no contract"],
    ["none", "def handle():\n  pass", "handle() in function/handler.py fits no contract"],
    ["a keyword it needs", "def handle(req, *, key):\n  pass", "fits no contract"],
    ["async", "async def handle(event, context):\n  pass", "must not be async"],
    ["another name", "def handler(event, context):\n  pass", "has no function handle(event, context), or handle(req)"],
    ["bad syntax", "def handle(event, context)\n  pass", "function/handler.py, line 1: "],
  ])("%s", async (_rule, source, reason) => {
    await expect(start(source)).rejects.toMatchObject({ stderr: expect.stringContaining(reason) });
  });

  test("or, where only running it tells, the start", async () => {
    const source = "def three(a, b, c):\n  pass\nhandle = three\n";
    await expect(start(source)).rejects.toThrow("handle(a, b, c) in function/handler.py fits no contract");
  });
});

describe("what a handler may return", () => {
  const HTML = "text/html; charset=utf-8";
  const rows: readonly (readonly [rule: string, source: string, type: string, body: string])[] = [
    ["a dict that holds more than an answer", "return {'id': 1, 'body': 'a'}", JSON_TYPE, '{"id": 1, "body": "a"}'],
    ["one with headers of its own", "return {'headers': [], 'n': 1}", JSON_TYPE, '{"headers": [], "n": 1}'],
    ["a status code of its own", "return {'statusCode': 5, 'ok': True}", JSON_TYPE, '{"statusCode": 5, "ok": true}'],
    ["a generator", "return (part for part in ['a', b'b'])", HTML, "ab"],
    ["what makes it one", "yield 'a'; yield 'b'", HTML, "ab"],
    ["one as the body", "return {'headers': {'content-type': 'text/x'}, 'body': iter(['a', 'b'])}", "text/x", "ab"],
    ["an open file", "return open('index.py')", "text/x-python", '"""Serves function'],
    ["an open file of bytes", "return open('index.py', 'rb')", "text/x-python", '"""Serves function'],
    ["bytes in memory", "return io.BytesIO(b'ab')", "application/octet-stream", "ab"],
    ["text in memory", "return io.StringIO('ä')", "text/plain; charset=utf-8", "ä"],
  ];

  test("is sent as what it is", async () => {
    const functions = rows.map(([, source], index) => `def h${index}():\n  ${source}\n`);
    const handle = "def handle(event, context):\n  return globals()['h' + event.path[1:]]()\n";
    await using fn = await start(`import io\n${functions.join("")}${handle}`);
    for (const [index, [rule, , type, body]] of rows.entries()) {
      const answer = await fetch(`${fn.url}/${index}`);
      const text = (await answer.text()).slice(0, body.length);
      expect([rule, answer.status, answer.headers.get("content-type"), text]).toEqual([rule, 200, type, body]);
    }
  });

  const RESPONSES = `
class Headers(list):
    def items(self):
        return list(self)
class Flask:
    status_code = 201
    headers = Headers([("Content-Type", "text/x"), ("Set-Cookie", "a"), ("Set-Cookie", "b"), ("Content-Length", "9")])
    is_streamed = False
    closed = False
    def get_data(self):
        return b"data"
    def iter_encoded(self):
        yield b"da"
        yield b"ta"
    def close(self):
        print("closed")
class Streamed(Flask):
    is_streamed = True
class Requests:
    status_code = 201
    headers = {"Content-Type": "text/x", "Content-Encoding": "gzip"}
    content = b"data"
    def iter_content(self, size):
        yield b"data"
class Starlette:
    status_code = 201
    headers = {"content-type": "text/x"}
    body = b"data"
class Django:
    status_code = 201
    headers = {"Content-Type": "text/x"}
    streaming_content = iter([b"da", b"ta"])
`;
  test("may be a response of a web framework or an HTTP client", async () => {
    const handle = "def handle(event, context):\n  return globals()[event.path[1:]]()\n";
    await using fn = await start(RESPONSES + handle);
    for (const kind of ["Flask", "Streamed", "Requests", "Starlette", "Django"]) {
      const answer = await fetch(`${fn.url}/${kind}`);
      const { status, headers } = answer;
      expect([kind, status, headers.get("content-type"), await answer.text()]).toEqual([kind, 201, "text/x", "data"]);
      expect(headers.get("content-encoding")).toBeNull();
      expect(headers.getSetCookie()).toEqual(kind === "Flask" || kind === "Streamed" ? ["a", "b"] : []);
    }
    expect(fn.log()).toContain("closed");
  });

  test("may be one with another status, as Flask has it", async () => {
    const source = `${RESPONSES}def handle(event, context):\n  return Flask(), 404, {"X-More": ["1", "2"]}\n`;
    await using fn = await start(source);
    const answer = await fetch(fn.url);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([404, "text/x"]);
    expect(answer.headers.get("x-more")).toBe("1, 2");
  });

  test("cannot be what HTTP cannot carry: a 500, with its name in the log", async () => {
    const source = `
async def answer():
    yield 1
VALUES = {
    "/value": lambda: {"headers": {"X-Split": "a\\r\\nb"}},
    "/name": lambda: {"headers": {"X Split": "a"}},
    "/async": answer,
}
def handle(event, context):
    return VALUES[event.path]()
`;
    await using fn = await start(source);
    for (const [path, reason] of [
      ["/value", "header X-Split holds a control character"],
      ["/name", "'X Split' is not the name of a header"],
      ["/async", "async_generator cannot be sent"],
    ] as const) {
      expect((await fetch(fn.url + path)).status).toBe(500);
      await eventually(`the log has it: ${reason}`, () => fn.log().includes(reason));
    }
  });
});

test("headers of 200 kB reach the handler", async () => {
  await using fn = await start("def handle(event, context):\n  return str(len(event.headers['X-Big']))\n");
  const answer = await rawRequest(fn.port, `GET / HTTP/1.1\r\nHost: f\r\nX-Big: ${"b".repeat(200_000)}\r\n\r\n`);
  expect(answer?.body).toBe("200000");
});

test("a path in raw UTF-8 reaches the handler decoded", async () => {
  await using fn = await start("def handle(event, context):\n  return event.path + event.query['q']\n");
  const request = Buffer.from("GET /gr\u00fc\u00dfe?q=\u00e4 HTTP/1.1\r\nHost: f\r\n\r\n", "utf8");
  const answer = await rawRequest(fn.port, request);
  expect(Buffer.from(answer?.body ?? "", "latin1").toString()).toBe("/grüßeä");
});
