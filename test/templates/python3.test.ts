import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { rawRequest } from "../support/raw-http.ts";
import { uploadThenCall } from "../support/upload-then-call.ts";
import { type BuildContext, layOut } from "./support/build-context.ts";
import { type FunctionProcess, startFunction } from "./support/function-process.ts";
import { missingPrograms } from "./support/programs.ts";
import { startWritten } from "./support/written-function.ts";

const missing = unlessRequired(missingPrograms("python3"));
const test = testNeeding(missing);
const HTML = "text/html; charset=utf-8";
const TEXT = "text/plain; charset=utf-8";
const FAILED = "Internal Server Error\n";

describe("behind the watchdog", () => {
  let fn: FunctionProcess;
  beforeAll(async () => {
    if (missing) return;
    fn = await startFunction("python3", {
      handler: "python3",
      secrets: { one: "s3cret\r\n" },
      env: { HOSTNAME: "box", MAX_BODY_SIZE: "1mb" },
    });
  });
  afterAll(() => fn?.remove());

  const answerOf = async (path: string, init?: RequestInit) => {
    const answer = await fetch(fn.url + path, init);
    return [answer.status, answer.headers.get("content-type"), await answer.text()];
  };

  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("passes %s on", async (method) => {
    const answer = await fetch(`${fn.url}/a%20b/%C3%A4?q=%C3%A4&q=2&empty`, { method, headers: { "x-probe": "yes" } });
    expect(await answer.json()).toMatchObject({
      kind: "bytes",
      body: "",
      method,
      path: "/a b/ä",
      query: { q: ["ä", "2"], empty: [""] },
      probe: "yes",
      has: true,
      names: expect.arrayContaining(["Host", "X-Probe"]),
      hostname: "box",
    });
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["text", Buffer.from("grüße")],
    ["bytes", Buffer.from([0, 255, 13, 10])],
    ["a large body", Buffer.alloc(1024 * 1024, "x")],
  ])("passes %s on as it is", async (_rule, body) => {
    const answer = await fetch(fn.url, { method: "POST", body });
    expect(await answer.json()).toMatchObject({ body: body.toString("hex") });
  });

  test("passes a chunked body on", async () => {
    const request = "POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    expect(JSON.parse((await rawRequest(fn.port, request))?.body ?? "")).toMatchObject({ body: "616263" });
  });

  test("refuses a body over MAX_BODY_SIZE", async () => {
    const head = `POST / HTTP/1.1\r\nHost: f\r\nContent-Length: ${1024 * 1024 + 1}\r\n\r\n`;
    const answer = await rawRequest(fn.port, head + "x".repeat(1024 * 1024 + 1));
    expect([answer?.status, answer?.body]).toEqual([413, "body is larger than 1048576 bytes (MAX_BODY_SIZE)\n"]);
  });

  test("a refused upload holds up no other call on its connection", async () => {
    for (const bytes of [1_100_000, 20_000_000]) {
      const { statuses, text, tookMs } = await uploadThenCall(fn.port, "/text", bytes);
      expect(statuses[0]).toBe(413);
      expect(text).toContain("MAX_BODY_SIZE");
      expect(tookMs).toBeLessThan(4_000);
    }
  });

  test.each<[path: string, status: number, type: string | null, body: string]>([
    ["/text", 200, HTML, "grüße"],
    ["/nothing", 200, null, ""],
    ["/empty", 200, null, ""],
    ["/list", 200, "application/json", '[1, "zwei"]'],
    ["/date", 200, "application/json", '{"on": "2026-01-02"}'],
    ["/plain-dict", 200, "application/json", '{"words": 3}'],
    ["/plain-list", 200, "application/json", '["a"]'],
    ["/plain-text", 200, HTML, "text"],
    ["/tuple", 201, HTML, "made"],
    ["/created", 201, "application/json", '{"id": 1}'],
    ["/status-text", 404, HTML, "gone"],
    ["/no-content", 204, HTML, ""],
    ["/typed", 200, "text/css", "a{}"],
    ["/own-length", 200, HTML, "four"],
    ["/stream", 200, HTML, "one,two"],
    ["/raise", 500, TEXT, FAILED],
    ["/exit", 500, TEXT, FAILED],
    ["/bad-header", 500, TEXT, FAILED],
    ["/bad-status", 500, TEXT, FAILED],
    ["/bad-value", 500, TEXT, FAILED],
    ["/secret?name=one", 200, HTML, "s3cret"],
    ["/secret?name=two", 500, TEXT, FAILED],
    ["/secret?name=../one", 500, TEXT, FAILED],
  ])("answers %s", async (path, status, type, body) => {
    expect(await answerOf(path)).toEqual([status, type, body]);
  });

  test("sends bytes as they are", async () => {
    const answer = await fetch(`${fn.url}/bytes`);
    expect(answer.headers.get("content-type")).toBe("application/octet-stream");
    expect(Buffer.from(await answer.arrayBuffer()).toString("hex")).toBe("00ff80");
  });

  test("sends the function's headers", async () => {
    expect((await fetch(`${fn.url}/cookies`)).headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect((await fetch(`${fn.url}/created`)).headers.get("location")).toBe("/1");
    expect((await fetch(`${fn.url}/tuple`)).headers.get("x-one")).toBe("1");
    expect((await fetch(`${fn.url}/bad-header`)).headers.get("x-injected")).toBeNull();
  });

  test("answers HEAD with the length and without the body", async () => {
    const answer = await rawRequest(fn.port, "HEAD /text HTTP/1.1\r\nHost: f\r\n\r\n");
    expect([answer?.status, answer?.headers.get("content-length"), answer?.body]).toEqual([200, ["7"], ""]);
  });

  test("a stream that fails half way does not look complete", async () => {
    const answer = await fetch(`${fn.url}/broken-stream`).catch(() => undefined);
    const whole = await answer?.text().catch(() => undefined);
    expect(answer?.status === 200 ? whole : undefined).toBeUndefined();
    await eventually("the failure is in the log", () => fn.log().includes("OSError: deliberate, half way"));
  });

  test("the traceback goes to the log, and what is printed too, at once", async () => {
    await fetch(`${fn.url}/raise`);
    await eventually("the traceback is there", () => /Traceback[\s\S]*RuntimeError: deliberate/.test(fn.log()));
  });

  test("calls run side by side", async () => {
    const together = await Promise.all(Array.from({ length: 4 }, () => fetch(`${fn.url}/together`)));
    const turns = await Promise.all(together.map((answer) => answer.text()));
    expect(turns.sort()).toEqual(["0", "1", "2", "3"]);
  });

  test("sends a large answer whole", async () => {
    expect((await (await fetch(`${fn.url}/big?size=5000000`)).text()).length).toBe(5_000_000);
  });

  test("serves many callers at once", async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => answerOf("/text")));
    expect(answers.every(([status, , body]) => status === 200 && body === "grüße")).toBe(true);
  });
});

test("SIGTERM to the watchdog lets a call under way finish", async () => {
  const fn = await startFunction("python3", { handler: "python3" });
  try {
    const until = join(fn.scratch, "release");
    const held = rawRequest(fn.port, `GET /hold?until=${until} HTTP/1.1\r\nHost: f\r\n\r\n`);
    await eventually("the call is under way", () => fn.log().includes("holding"));
    const ended = fn.terminate();
    await writeFile(until, "");
    expect((await held)?.body).toBe("held");
    expect(await ended).toBe(0);
  } finally {
    await fn.remove();
  }
});

test("a handler that cannot be loaded stops the function with the reason", async () => {
  const files = { "handler.py": "import no_such_module\n\ndef handle(event, context):\n    pass\n" };
  await expect(startWritten("python3", files)).rejects.toThrow("No module named 'no_such_module'");
});

describe("the server by itself", () => {
  let context: BuildContext;
  let child: ChildProcess;
  let port: number;
  let log = "";

  beforeAll(async () => {
    if (missing) return;
    context = await layOut("python3", "python3");
    port = await freePort();
    child = spawn("python3", ["index.py"], {
      cwd: context.dir,
      env: { PATH: process.env.PATH, HOME: context.dir, http_port: String(port), write_timeout: "20s" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        log += text;
      });
    }
    await eventually("it listens", async () => (await rawRequest(port, get("/text")))?.status === 200);
  });
  afterAll(async () => {
    child?.kill("SIGKILL");
    await context?.remove();
  });

  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: f\r\n\r\n`;

  test.each<[rule: string, request: string, status: number]>([
    ["no request line", "nonsense\r\n\r\n", 400],
    ["another protocol", "GET / HTTP/2.0\r\n\r\n", 505],
    ["a header without a colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", 400],
    ["a space before the colon", "GET / HTTP/1.1\r\nHost : f\r\n\r\n", 400],
    ["a folded header", "GET / HTTP/1.1\r\nHost: f\r\n folded: x\r\n\r\n", 400],
    ["headers without an end", `GET / HTTP/1.1\r\nX: ${"x".repeat(270_000)}`, 431],
    ["two ways to say the length", "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
    ["two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
    ["a negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400],
    ["an unknown coding", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400],
    ["a chunk size that is none", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400],
    ["a chunk without an end", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400],
    ["a chunk beyond the limit", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413],
    ["a length beyond the limit", "POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 413],
  ])("refuses %s", async (_rule, request, status) => {
    const answer = await rawRequest(port, request);
    expect([answer?.status, answer?.headers.get("connection")]).toEqual([status, ["close"]]);
  });

  test("invites a body that waits for it", async () => {
    const answer = await rawRequest(port, "POST / HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n");
    expect(answer?.status).toBe(200);
  });

  test("answers requests that come in one piece, in order", async () => {
    const requests =
      get("/text") + get("/raise") + get("/stream") + get("/list").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    const socket = connect(port, "127.0.0.1").setEncoding("latin1");
    socket.write(requests);
    let received = "";
    for await (const text of socket) received += text;
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual([200, 500, 200, 200].map((status) => `HTTP/1.1 ${status}`));
  });

  test("a connection that says nothing, or leaves early, harms nobody", async () => {
    const leaving = rawRequest(port, "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", 50);
    await expect(leaving).rejects.toThrow("no complete answer");
    expect((await rawRequest(port, get("/text")))?.status).toBe(200);
    expect(log).not.toContain("Exception in thread");
  });

  test("SIGTERM stops listening, finishes calls under way and ends with 0", async () => {
    const until = join(context.dir, "release");
    const held = rawRequest(port, get(`/hold?until=${until}`));
    await eventually("the call is under way", () => log.includes("holding"));
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await eventually("it no longer listens", () =>
      rawRequest(port, get("/text")).then((answer) => answer === undefined),
    );
    await writeFile(until, "");
    expect((await held)?.body).toBe("held");
    expect(await ended).toEqual([0, null]);
  });

  test("ends when the watchdog that holds its stdin is gone", async () => {
    const other = spawn("python3", ["index.py"], {
      cwd: context.dir,
      env: { PATH: process.env.PATH, HOME: context.dir, http_port: String(await freePort()) },
      stdio: ["pipe", "ignore", "ignore"],
    });
    const ended = once(other, "exit");
    other.stdin.destroy();
    expect(await ended).toEqual([1, null]);
  });

  test.each<[name: string, value: string]>([
    ["http_port", "http"],
    ["MAX_BODY_SIZE", "10 bananas"],
  ])("a bad %s stops it with a word about it", async (name, value) => {
    const other = spawn("python3", ["index.py"], {
      cwd: context.dir,
      env: { PATH: process.env.PATH, HOME: context.dir, [name]: value },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    other.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    expect(await once(other, "close")).toEqual([1, null]);
    expect(said).toMatch(new RegExp(`^${name}: "${value}" is not .*\n$`));
  });
});

describe("the install step", () => {
  test("installs nothing, and makes no folder, without requirements", async () => {
    const context = await layOut("python3");
    try {
      expect(existsSync(join(context.dir, "packages"))).toBe(false);
    } finally {
      await context.remove();
    }
  });

  test("installs what requirements.txt names", async () => {
    const handler = await layOut("python3");
    try {
      // A folder that carries its own build backend needs no registry.
      const dir = join(handler.dir, "function");
      const local = join(dir, "local");
      await mkdir(local);
      await writeFile(join(local, "pyproject.toml"), PYPROJECT);
      await writeFile(join(local, "backend.py"), BACKEND);
      await writeFile(join(dir, "requirements.txt"), "# what it needs\n\n./local\n");
      await writeFile(
        join(dir, "handler.py"),
        "import from_requirements\n\ndef handle(event, context):\n    return from_requirements.TEXT\n",
      );
      const fn = await startFunction("python3", { handler: dir });
      try {
        expect(await (await fetch(fn.url)).text()).toBe("from the requirement");
      } finally {
        await fn.remove();
      }
    } finally {
      await handler.remove();
    }
  });
});

const PYPROJECT = `[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "from-requirements"
version = "1.0"
`;

const BACKEND = `import os, zipfile

INFO = "from_requirements-1.0.dist-info"

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "from_requirements-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("from_requirements.py", "TEXT = 'from the requirement'\\n")
        wheel.writestr(INFO + "/METADATA", "Metadata-Version: 2.1\\nName: from-requirements\\nVersion: 1.0\\n")
        wheel.writestr(INFO + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(INFO + "/RECORD", "")
    return name
`;
