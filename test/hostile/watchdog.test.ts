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
