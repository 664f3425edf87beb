import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { uploadThenCall } from "../support/upload-then-call.ts";
import { BROKEN_ANSWERS } from "../watchdog/fixtures/broken-answers.mjs";
import { startWatchdog, type TestWatchdog } from "../watchdog/support/start-watchdog.ts";

const server = (name: string) => ({
  mode: "http",
  fprocess: `${process.execPath} ${name}.mjs`,
  upstream_url: "http://127.0.0.1:0",
});

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

async function expectIdle(watchdog: TestWatchdog): Promise<void> {
  await eventually("no call is under way", async () => /^http_requests_in_flight 0$/m.test(await watchdog.metrics()));
  expect(watchdog.running).toBe(true);
}

describe("a function that answers", () => {
  let watchdog: TestWatchdog;
  beforeAll(async () => {
    watchdog = await startWatchdog({ ...server("broken-server"), exec_timeout: "2s" });
  });
  afterAll(() => watchdog[Symbol.asyncDispose]());

  test.each([
    ["odd status lines", "statusLines"],
    ["odd headers", "headers"],
    ["odd framing", "framings"],
    ["interim answers without end or sense", "interim"],
    ["half, and resets", "resets"],
  ] as const)("with %s costs no more than its call", async (_class, kind) => {
    for (const [index, [name]] of BROKEN_ANSWERS[kind].entries()) {
      const startedAt = performance.now();
      const answer = await rawRequest(watchdog.port, get(`/${kind}/${index}`));
      // What cannot be passed on is a failure of the function, or a connection that is cut visibly.
      if (answer?.headers.has("x-openfaas-internal")) expect([name, answer.status]).toEqual([name, 500]);
      // No answer was waited for to its time limit.
      expect([name, performance.now() - startedAt < 1_500]).toEqual([name, true]);
      expect([name, (await rawRequest(watchdog.port, get("/fine")))?.body]).toEqual([name, "fine"]);
      expect(watchdog.running).toBe(true);
    }
    await expectIdle(watchdog);
  });

  test("in the platform's name is not believed", async () => {
    const index = BROKEN_ANSWERS.headers.findIndex(([name]) => name === "a platform's mark");
    const answer = await rawRequest(watchdog.port, get(`/headers/${index}`));
    expect([answer?.status, answer?.headers.has("x-openfaas-internal")]).toEqual([429, false]);
  });
});

/** Each is sent, and then the connection is reset; the last ones once the answer has begun. */
const STAGES: readonly (readonly [sent: string, awaitAnswer?: boolean])[] = [
  [""],
  ["POST / HT"],
  ["POST / HTTP/1.1\r\nHost: h\r\nX-"],
  ["POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"],
  ["POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n", true],
  [`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n${"x".repeat(50_000)}`],
  ["POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"],
  ["POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nnonsense\r\n"],
  [`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n${"x".repeat(100_000)}`],
  [`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(1_000_000)}`, true],
  [get("/headers"), true],
  [get("/big"), true],
  [get("/").repeat(20), true],
  ["CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n"],
  ["GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"],
  ["nonsense\r\n\r\n", true],
];

async function resetAfter(port: number, sent: string, awaitAnswer: boolean): Promise<void> {
  const socket: Socket = connect(port, "127.0.0.1");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {}); // the other side may be first
  await new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
    if (awaitAnswer) socket.once("data", () => resolve());
    socket.write(sent, () => {
      if (!awaitAnswer) resolve();
    });
  });
  socket.resetAndDestroy();
  await closed;
}

describe.each<[mode: string, env: Record<string, string>]>([
  ["http", server("probe-server")],
  ["http, buffering", { ...server("probe-server"), http_buffer_req_body: "true" }],
  ["inproc", { mode: "inproc", inproc_handler: "./handler.mjs" }],
  ["streaming", { mode: "streaming", fprocess: "cat" }],
  ["serializing", { mode: "serializing", fprocess: "cat" }],
  ["classic", { mode: "classic", fprocess: "cat" }],
])("mode %s", (_mode, env) => {
  test("callers that reset at any stage harm nobody", async () => {
    await using watchdog = await startWatchdog({ ...env, exec_timeout: "2s" });
    for (let round = 0; round < 2; round++) {
      await Promise.all(STAGES.map(([sent, wait = false]) => resetAfter(watchdog.port, sent, wait)));
      expect((await fetch(`${watchdog.url}/`, { method: "POST", body: "next" })).status).toBeLessThan(500);
    }
    await expectIdle(watchdog);
  });
});

test("a handler that throws what cannot be printed, or writes after its end, costs no more than its call", async () => {
  await using watchdog = await startWatchdog({ mode: "inproc", inproc_handler: "./hostile-handler.mjs" });
  for (const path of ["/bare", "/getter", "/null", "/rejects-bare", "/status", "/reason", "/header", "/thenable"]) {
    expect([path, (await fetch(watchdog.url + path)).status]).toEqual([path, 500]);
  }
  expect(await (await fetch(`${watchdog.url}/after-end`)).text()).toBe("whole");
  await watchdog.logged("write after end");
  await expectIdle(watchdog);
});

test.each(["set", "write-head", "write-head-flat", "append", "trailer"])(
  "a handler cannot speak for the platform: %s",
  async (way) => {
    await using watchdog = await startWatchdog({ mode: "inproc", inproc_handler: "./hostile-handler.mjs" });
    const answer = await fetch(`${watchdog.url}/mark/${way}`);
    expect([answer.status, answer.headers.get("x-openfaas-internal")]).toEqual([429, null]);
    expect(answer.headers.get("x-own")).toBe("stays");
    await answer.text();
  },
);

describe.each<[what: string, env: Record<string, string>, path: string, status: number, body: string]>([
  ["a server that does not read", server("refusing-server"), "/unread", 200, "unread"],
  ["a server that refuses and closes", server("refusing-server"), "/refuse", 413, "refused"],
  ["a server that refuses and hangs up", server("refusing-server"), "/refuse-at-once", 413, "refused"],
  ["one that says no length", server("refusing-server"), "/refuse-without-length", 413, "refused"],
  ["a handler in the process", { mode: "inproc", inproc_handler: "./handler.mjs" }, "/", 200, "hello"],
  ["a program that reads nothing", { mode: "streaming", fprocess: "echo unread" }, "/", 200, "unread"],
  ["a limit, serializing", { mode: "serializing", fprocess: "cat", max_body_bytes: "9" }, "/", 413, "max_body_bytes"],
  ["a limit, classic", { mode: "classic", fprocess: "cat", max_body_bytes: "9" }, "/", 413, "max_body_bytes"],
  ["a limit, http", { ...server("refusing-server"), buffer_http: "1", max_body_bytes: "9" }, "/", 413, ""],
])("an upload to %s", (_what, env, path, status, body) => {
  test("is answered as the function does, and holds up no other call", async () => {
    await using watchdog = await startWatchdog(env);
    for (const bytes of [100_000, 900_000, 20_000_000]) {
      const { statuses, text, tookMs } = await uploadThenCall(watchdog.port, path, bytes);
      expect([bytes, statuses[0]]).toEqual([bytes, status]);
      expect(text).toContain(body);
      // The second call is answered, or the connection is closed, so that it is made on another one.
      if (statuses.length > 1) expect([bytes, statuses]).toEqual([bytes, [status, 200]]);
      else expect(bytes).toBeGreaterThan(1_000_000);
      expect(tookMs).toBeLessThan(4_000);
      const next = await rawRequest(watchdog.port, get("/"));
      expect(next?.status).toBe(200);
    }
    await expectIdle(watchdog);
  });

  test("whose caller wants no other call is answered, and not reset", async () => {
    await using watchdog = await startWatchdog(env);
    const head = `POST ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\n`;
    for (let round = 0; round < 20; round++) {
      const answer = await rawRequest(watchdog.port, head + "x".repeat(2_000_000));
      expect(answer?.status).toBe(status);
      expect(answer?.body).toContain(body);
    }
  });
});

/** Sends bytes and waits until the other side has closed, which it has to. */
async function untilClosed(port: number, sent: string, more?: (socket: Socket) => void): Promise<[string, number]> {
  const startedAt = performance.now();
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  let text = "";
  socket.on("error", () => {}); // a reset closes as well
  socket.on("data", (chunk: string) => {
    text += chunk;
  });
  socket.write(sent);
  more?.(socket);
  await new Promise((resolve) => socket.once("close", resolve));
  return [text, performance.now() - startedAt];
}

describe("a connection", () => {
  let watchdog: TestWatchdog;
  beforeAll(async () => {
    const inproc = { mode: "inproc", inproc_handler: "./hostile-handler.mjs" };
    watchdog = await startWatchdog({ ...inproc, read_timeout: "1s" });
  });
  afterAll(() => watchdog[Symbol.asyncDispose]());

  test("is served one request at a time, in order, however many it sends", async () => {
    const last = "GET /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    const [text] = await untilClosed(watchdog.port, get("/count").repeat(19) + last);
    expect(text.match(/most \d+;/g)).toEqual(Array.from({ length: 20 }, () => "most 1;"));
  });

  test("that sends requests without end and reads nothing is closed, and holds up nobody", async () => {
    const flood = untilClosed(watchdog.port, get("/count").repeat(50_000), (socket) => socket.pause());
    const answers = await Promise.all(Array.from({ length: 10 }, () => rawRequest(watchdog.port, get("/"), 2_000)));
    expect(answers.map((answer) => answer?.status)).toEqual(Array.from({ length: 10 }, () => 200));
    await flood;
    await expectIdle(watchdog);
  });

  test.each<[what: string, sent: string, trickle: string]>([
    ["says nothing of a request it began", "GET / HT", ""],
    ["never ends its head", "GET / HTTP/1.1\r\nHost: h\r\n", "X-A: b\r\n"],
    ["stalls within its body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\npart", ""],
    ["never ends its body", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"],
  ])("that %s is closed at read_timeout", async (_what, sent, trickle) => {
    let timer: NodeJS.Timeout | undefined;
    const [, tookMs] = await untilClosed(watchdog.port, sent, (socket) => {
      timer = setInterval(() => trickle !== "" && socket.writable && socket.write(trickle), 50);
    });
    clearInterval(timer);
    expect(tookMs).toBeGreaterThan(800);
    expect(tookMs).toBeLessThan(5_000);
    await expectIdle(watchdog);
  });

  test.each<[what: string, sent: string, status: string]>([
    ["asks for a tunnel", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "405"],
    ["speaks another protocol", "SSH-2.0-x\r\n\r\n", "400"],
    ["names no path", "GET x:1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "400"],
    ["sends a head of two megabytes", `GET / HTTP/1.1\r\nX: ${"x".repeat(2_000_000)}\r\n\r\n`, "431"],
  ])("that %s is told so and closed", async (_what, sent, status) => {
    for (const port of [watchdog.port, watchdog.metricsPort]) {
      const [text] = await untilClosed(port, sent);
      // A metrics server takes heads of the usual size, and any path for one that it does not have.
      if (port === watchdog.port || status !== "400") expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    }
    await expectIdle(watchdog);
  });

  test("leaves no descriptor behind, whatever it did", async () => {
    const open = async () => Number(/^process_open_fds (\d+)$/m.exec(await watchdog.metrics())?.[1]);
    const before = await open();
    const all = [...STAGES, ...STAGES].map(([sent, wait = false]) => resetAfter(watchdog.port, sent, wait));
    await Promise.all([...all, untilClosed(watchdog.port, "GET / HT"), untilClosed(watchdog.port, "x\r\n\r\n")]);
    await eventually("they are gone", async () => (await open()) <= before + 2);
  });
});

test("a path in raw UTF-8 reaches the function", async () => {
  await using watchdog = await startWatchdog(server("reflect-server"));
  const answer = await rawRequest(
    watchdog.port,
    Buffer.from("GET /gr\u00fc\u00dfe?q=\u00e4 HTTP/1.1\r\nHost: h\r\n\r\n"),
  );
  expect(JSON.parse(answer?.body ?? "")).toMatchObject({ requestURI: "/gr%C3%BC%C3%9Fe?q=%C3%A4" });
});
