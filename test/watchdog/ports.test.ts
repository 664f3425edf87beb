import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { buildChildEnv } from "../../watchdog/modes/child-port.ts";
import { freePort } from "../support/free-port.ts";
import { spawnWatchdog, startWatchdog } from "./support/start-watchdog.ts";

let port = 0;
let holder: Server | undefined;

beforeEach(async () => {
  port = await freePort();
});
afterEach(async () => {
  if (holder === undefined) return;
  holder.close();
  await once(holder, "close");
  holder = undefined;
});

/** This process takes the port. */
async function hold(host = "127.0.0.1"): Promise<void> {
  holder = createServer((socket) => {
    socket.on("error", () => {}); // whoever looks who is there does not wait for an answer
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nholder");
  }).listen(port, host);
  await once(holder, "listening");
}

const fn = (name: string, env: Record<string, string> = {}) => ({
  mode: "http",
  fprocess: `${process.execPath} port-server.mjs`,
  upstream_url: `http://127.0.0.1:${port}`,
  listen_at: String(port),
  name,
  ...env,
});

const say = async ({ url }: { url: string }) => (await fetch(url)).text();

test.each(["PORT", "http_port", "port", "upstream_url"])(
  "replicas with one upstream_url live side by side when they obey %s",
  async (obeys) => {
    await using first = await startWatchdog(fn("first", { obeys }));
    await using second = await startWatchdog(fn("second", { obeys }));
    await using third = await startWatchdog(fn("third", { obeys }));
    expect(await Promise.all([first, second, third].map(say))).toEqual(["first", "second", "third"]);
  },
);

test("a function whose port is held by another ends with who it is and what to set", async () => {
  await using first = await startWatchdog(fn("first"));
  await using second = spawnWatchdog(fn("second"));
  expect(await second.ended).toEqual({ code: 1, signal: null });
  expect(second.port).toBe(0);
  await second.logged(/exit status 1; port \d+ of upstream_url is in use by process \d+ \(node\), so/);
  await second.logged("as PORT and http_port tell it, or upstream_url must name a port of its own");
  expect(await say(first)).toBe("first");
});

test("nobody else's listener is taken for the function's, however late that is", async () => {
  await hold();
  await using late = spawnWatchdog(fn("late", { late: "300" }));
  expect(await late.ended).toEqual({ code: 1, signal: null });
  expect(late.port).toBe(0);
  await late.logged(`is in use by process ${process.pid} (`);
});

test("a port that somebody takes after the start is an error, too", async () => {
  await using late = spawnWatchdog(fn("late", { late: "60000", stays: "1" }));
  await late.logged("listening on port");
  await hold();
  expect(await late.ended).toEqual({ code: 1, signal: null });
  await late.logged(`port ${port} of upstream_url is in use by process ${process.pid} (`);
  await late.logged("set upstream_url to a port of its own");
  await late.logged("upstream_external=true if that process is meant");
});

test("a function that would share another's port, and get a part of its calls, is ended", async () => {
  await using first = await startWatchdog(fn("first", { share: "1" }));
  await using second = spawnWatchdog(fn("second", { share: "1" }));
  expect(await second.ended).toEqual({ code: 1, signal: null });
  await second.logged("cannot have it");
  for (let i = 0; i < 20; i++) expect(await say(first)).toBe("first");
});

test("a listener at another address of the machine is in nobody's way", async () => {
  await hold("127.0.0.2");
  await using own = await startWatchdog(fn("own"));
  expect(await say(own)).toBe("own");
});

test("with upstream_external another process may serve", async () => {
  await using other = await startWatchdog(fn("other"));
  await using front = await startWatchdog({ ...fn("front"), fprocess: "sleep 1000", upstream_external: "true" });
  expect(await Promise.all([other, front].map(say))).toEqual(["other", "other"]);
});

test("a listener of a grandchild is the function's own", async () => {
  const fprocess = "sh start-server-behind.sh";
  await using own = await startWatchdog({ ...fn("own"), fprocess });
  expect(await say(own)).toBe("own");
});

test("a function that listens elsewhere is told so in the log", async () => {
  await using lost = spawnWatchdog({ ...fn("lost"), upstream_url: "http://127.0.0.1:1", obeys: "nothing" });
  await lost.logged(`The function does not listen at port 1 yet; it does at ${port}`);
});

const url = (at: number) => ({ host: "127.0.0.1", port: at, prefix: "/p" });

test.each<[rule: string, env: Record<string, string>, wanted: number, given: number, told: Record<string, string>]>([
  [
    "all variables tell the port",
    { upstream_url: "http://127.0.0.1:0/p", port: "8080" },
    0,
    5,
    { PORT: "5", http_port: "5", port: "5", upstream_url: "http://127.0.0.1:5/p" },
  ],
  ["one that is set to the wanted port follows", { PORT: "3" }, 3, 5, { PORT: "5", http_port: "5", port: "5" }],
  ["one that means something else stays", { PORT: "4" }, 3, 3, { PORT: "4", http_port: "3", port: "3" }],
])("%s", (_rule, env, wanted, given, told) => {
  expect(buildChildEnv(env, url(wanted), url(given))).toEqual(told);
});
