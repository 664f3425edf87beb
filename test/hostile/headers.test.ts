import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { converse, rawRequest } from "../support/raw-http.ts";
import { RecordingFunction } from "../support/recording-function.ts";

/** Headers that speak for somebody else, in requests and in the answers of functions. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let recording: RecordingFunction;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path, env: { log_level: "info", max_retry_attempts: "0" } });
  recording = await RecordingFunction.open();
  await recording.deploy(platform, "rec");
  expect((await fetch(`${platform.url}/function/rec/first`)).status).toBe(200);
});

afterAll(async () => {
  expect(recording.garbage).toEqual([]);
  await platform.stop();
  await recording.close();
  await folder.remove();
});

let sent = 0;

interface Seen {
  readonly status: number | undefined;
  /** Headers that the function got: their values by lower-case name. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

/** A call with these header lines. */
async function call(...lines: readonly string[]): Promise<Seen> {
  const path = `/headers${++sent}`;
  const head = [`GET /function/rec${path} HTTP/1.1`, "Host: caller.test", ...lines, "Connection: close"];
  const answer = await rawRequest(platform.port, Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"));
  const headers = new Map<string, string[]>();
  for (const [name, value] of recording.of(path)[0]?.headers ?? []) {
    headers.set(name.toLowerCase(), [...(headers.get(name.toLowerCase()) ?? []), value]);
  }
  return { status: answer?.status, headers };
}

test.each([
  "X-Call-Id: a\rb",
  "X-Call-Id: a\nX-More: 1",
  "X-Evil: a\0b",
  "X-Call-Id : a",
  "X-Callback-Url: http://a\nX-More: 1",
  "X-Forwarded-For: 1.1.1.1\rX-More: 1",
])("the malformed header %j is refused", async (line) => {
  const { status, headers } = await call(line);
  expect([status, headers.size]).toEqual([400, 0]);
});

test.each([
  "Keep-Alive: timeout=9",
  "Proxy-Connection: keep-alive",
  "Proxy-Authenticate: Basic",
  "Proxy-Authorization: Basic YTpi",
  "TE: deflate;q=0.5",
  "Trailer: X-A",
  "Upgrade: h2c",
  "Expect: 100-continue",
])("%s stays on the caller's connection", async (line) => {
  const { status, headers } = await call(line, "X-Kept: 1");
  expect(status).toBe(200);
  expect(headers.get("x-kept")).toEqual(["1"]);
  // The platform may say something of its own there.
  const [name = "", value] = line.split(": ");
  expect(headers.get(name.toLowerCase()) ?? []).not.toContain(value);
});

test("a header that `Connection` names stays on the caller's connection", async () => {
  const { headers } = await call("X-Mine: 1", "X-Kept: 1", "Connection: X-Mine, keep-alive");
  expect([headers.has("x-mine"), headers.get("x-kept")]).toEqual([false, ["1"]]);
});

test.each(["X-Call-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Start-Time", "Host"])(
  "`Connection` cannot take %s from what the platform says",
  async (name) => {
    const { status, headers } = await call(`Connection: ${name}`);
    expect([status, headers.get(name.toLowerCase())?.length]).toEqual([200, 1]);
  },
);

test("where a call comes from is the last of X-Forwarded-For, whatever the caller says", async () => {
  const { headers } = await call("X-Forwarded-For: 203.0.113.1", "x-forwarded-for: 203.0.113.2, 127.0.0.9");
  expect(headers.get("x-forwarded-for")).toEqual(["203.0.113.1, 203.0.113.2, 127.0.0.9, 127.0.0.1"]);
});

test("when a call began is the platform's word", async () => {
  const { headers } = await call("X-Start-Time: 1", "x-start-time: 2");
  expect(headers.get("x-start-time")).toEqual([expect.stringMatching(/^\d{19}$/)]);
});

test("of several call ids there is one, and it is one line", async () => {
  const { headers } = await call("X-Call-Id: a", "X-Call-Id: b");
  expect(headers.get("x-call-id")).toEqual(["a, b"]);
});

test("a call id of bytes outside ASCII does no harm", async () => {
  expect(await call("X-Call-Id: \xe4\xff")).toMatchObject({ status: 200 });
});

test.each(["__proto__", "constructor", "toString", "hasOwnProperty", "then", "0"])(
  "a header named %s is one like any other",
  async (name) => {
    const { status, headers } = await call(`${name}: x`);
    expect([status, headers.get(name.toLowerCase())]).toEqual([200, ["x"]]);
  },
);

test.each(["__proto__", "constructor", "toString"])("a parameter named %s is one like any other", async (name) => {
  const lists = await platform.control(`/system/functions?${name}=x&${name}=y`);
  expect([lists.status, Array.isArray(await lists.json())]).toEqual([200, true]);
});

test.each([
  "/function/..//evil.test/x",
  "/function/../..//evil.test",
  "/function/.//./evil.test/..//evil.test",
  "/function/x/..\\..//\\evil.test",
  "/function/x//%0d%0aSet-Cookie:%20a=b",
  "/async-function/..//evil.test/x",
])("the redirect of %j leads to this host", async (target) => {
  const answer = await rawRequest(platform.port, `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(answer?.headers.has("set-cookie")).toBe(false);
  const location = answer?.headers.get("location")?.[0] ?? "/";
  expect(new URL(location, "http://here.test/").host).toBe("here.test");
});

test.each([
  ["another host", "//evil.test"],
  ["another host behind a path", "/a//evil.test"],
  ["a backslash", "/\\\\evil.test"],
  ["a URL", "https://evil.test"],
  ["a script", "javascript:alert(1)"],
  ["a way up", "/a/../../evil.test"],
  ["an escaped way up", "/a/%2e%2E/x"],
  ["a query", "/a?next=//evil.test"],
  ["a fragment", "/a#"],
  ["control characters", "/a\t\t/b"],
  ["a list", "/a, /b"],
  ["too much", `/${"a".repeat(300)}`],
  ["an escape that is none", "/a%zz"],
])("%s as X-Forwarded-Prefix sends nobody there", async (_what, prefix) => {
  for (const [method, path, expected] of [
    ["POST", "/async-function/rec", /^\/async-function\/[\w-]+$/],
    ["GET", "/function//rec", /^\/function\/rec$/],
    ["GET", "/", /^\/ui\/$/],
  ] as const) {
    const lines = [
      `${method} ${path} HTTP/1.1`,
      "Host: caller.test",
      `X-Forwarded-Prefix: ${prefix}`,
      "Content-Length: 0",
    ];
    const head = `${lines.join("\r\n")}\r\nConnection: close\r\n\r\n`;
    const answer = await rawRequest(platform.port, Buffer.from(head, "latin1"));
    expect(answer?.headers.get("location")?.[0]).toMatch(expected);
  }
});

test.each(["/function/%0d%0aX-Evil:1", "/nowhere%0d%0aX-Evil:1", "/system/function/%0d%0aX-Evil:1"])(
  "a line end in the path %j is in no header of the answer",
  async (target) => {
    const request = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${await platform.authorization()}\r\n\r\n`;
    const answer = await rawRequest(platform.port, request);
    expect([answer?.status, answer?.headers.has("x-evil")]).toEqual([404, false]);
  },
);

test("an asynchronous call keeps nothing of its caller's connection", async () => {
  const head = [
    "Proxy-Authorization: Basic YTpi",
    "TE: trailers",
    "X-Mine: 1",
    "Connection: close, X-Mine",
    "X-Kept: 1",
  ];
  const request = `POST /async-function/rec/later HTTP/1.1\r\nHost: x\r\n${head.join("\r\n")}\r\nContent-Length: 2\r\n\r\nhi`;
  expect((await rawRequest(platform.port, request))?.status).toBe(202);
  const later = await eventually("it is called", () => recording.of("/later")[0]);
  const names = later.headers.map(([name]) => name.toLowerCase());
  expect(names).toContain("x-kept");
  for (const gone of ["proxy-authorization", "x-mine"]) expect(names).not.toContain(gone);
  expect(later.headers.filter(([, value]) => value.includes("deflate"))).toEqual([]);
  expect(later.body).toBe("hi");
});

const ok = (lines: readonly string[], body = "") => `${["HTTP/1.1 200 OK", ...lines].join("\r\n")}\r\n\r\n${body}`;
const FORGED = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Forged: 1\r\n\r\nforged";

/** What a function may write to its connection, and the statuses that a caller may get. */
const ANSWERS: readonly (readonly [name: string, bytes: string, statuses: readonly number[]])[] = [
  ["two answers", ok(["Content-Length: 2"], "ok") + FORGED, [200]],
  ["an answer that is longer than it says", ok(["Content-Length: 2"], `ok${FORGED}`), [200]],
  ["a 204 with a body", `HTTP/1.1 204 No Content\r\nContent-Length: ${FORGED.length}\r\n\r\n${FORGED}`, [204]],
  ["a 304 with a body", `HTTP/1.1 304 Not Modified\r\nContent-Length: ${FORGED.length}\r\n\r\n${FORGED}`, [304]],
  [
    "an answer in chunks with another behind",
    ok(["Transfer-Encoding: chunked"], `2\r\nok\r\n0\r\n\r\n${FORGED}`),
    [200],
  ],
  ["a length and chunks", ok(["Content-Length: 2", "Transfer-Encoding: chunked"], `0\r\n\r\n${FORGED}`), [500, 502]],
  ["two lengths", ok(["Content-Length: 2", "Content-Length: 90"], `ok${FORGED}`), [500, 502]],
  ["a length with a plus", ok(["Content-Length: +2"], `ok${FORGED}`), [500, 502]],
  ["a length past 64 bits", ok(["Content-Length: 18446744073709551618"], `ok${FORGED}`), [500, 502]],
  ["a chunk size that is none", ok(["Transfer-Encoding: chunked"], `2;\nok\r\n0\r\n\r\n${FORGED}`), [200, 500, 502]],
  ["a header that ends in LF", ok(["X-A: b\nX-Forged: 1", "Content-Length: 2"], "ok"), [500, 502]],
  ["a header that ends in CR", ok(["X-A: b\rX-Forged: 1", "Content-Length: 2"], "ok"), [500, 502]],
  ["a header with NUL", ok(["X-A: b\0", "Content-Length: 2"], "ok"), [500, 502]],
  ["a folded header", ok(["X-A: b\r\n X-Forged: 1", "Content-Length: 2"], "ok"), [200, 500, 502]],
  ["a header without a name", ok([": b", "Content-Length: 2"], "ok"), [500, 502]],
  [
    "a switch of protocols that nobody wanted",
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n${FORGED}`,
    [500, 502],
  ],
  [
    "an announcement before the answer",
    `HTTP/1.1 103 Early Hints\r\nX-Forged: 1\r\n\r\n${ok(["Content-Length: 2"], "ok")}`,
    [200],
  ],
];

test.each(ANSWERS)("a function that sends %s speaks to its own caller only", async (_name, bytes, statuses) => {
  const path = `/answer${++sent}`;
  recording.answer(path, bytes);
  const last = `GET /function/rec/last${sent} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  const { answers, rest } = await converse(platform.port, `GET /function/rec${path} HTTP/1.1\r\nHost: x\r\n\r\n`, last);
  expect(statuses).toContain(answers[0]?.status);
  expect(answers[0]?.headers.has("x-forged")).toBe(false);
  // What follows on the same connection, and others on those that the platform has kept, get their own answers.
  expect([answers.slice(1).map(({ body }) => body), rest]).toEqual([answers.length > 1 ? [`/last${sent}`] : [], ""]);
  for (const victim of ["a", "b", "c"]) {
    expect(await (await fetch(`${platform.url}/function/rec/${victim}${sent}`)).text()).toBe(`/${victim}${sent}`);
  }
});

test.each(["Keep-Alive: timeout=9", "Proxy-Connection: close", "Trailer: X-A", "Upgrade: h2c"])(
  "a function's %s stays on its own connection",
  async (line) => {
    const path = `/answer${++sent}`;
    recording.answer(path, ok([line, "X-Kept: 1", "Content-Length: 2"], "ok"));
    const answer = await rawRequest(platform.port, `GET /function/rec${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const [name, value] = line.split(": ") as [string, string];
    expect([answer?.status, answer?.headers.get("x-kept")]).toEqual([200, ["1"]]);
    expect(answer?.headers.get(name.toLowerCase()) ?? []).not.toContain(value);
  },
);
