import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { startWatchdog } from "./support/start-watchdog.ts";

const server = (name: string) => ({
  mode: "http",
  fprocess: `${process.execPath} ${name}.mjs`,
  upstream_url: "http://127.0.0.1:0",
});

function call(url: string, agent: Agent): Promise<{ response: IncomingMessage; body: string }> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ response, body }));
      response.on("error", reject);
    }).on("error", reject);
  });
}

const isRunning = (pid: number) => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

test("after SIGTERM probes fail while calls are served, each on its last connection", async () => {
  await using watchdog = await startWatchdog({ ...server("probe-server"), healthcheck_interval: "20s" });
  watchdog.process.kill("SIGTERM");
  await eventually("health fails", async () => (await fetch(`${watchdog.url}/_/health`)).status === 503);
  expect((await fetch(`${watchdog.url}/_/ready`)).status).toBe(503);
  const { response, body } = await call(`${watchdog.url}/lost`, new Agent({ keepAlive: true }));
  expect(response.statusCode).toBe(200);
  expect(Number(body)).toBeGreaterThanOrEqual(0);
  expect(response.headers.connection).toBe("close");
  expect(watchdog.running).toBe(true);
});

test.each<NodeJS.Signals>(["SIGTERM", "SIGHUP"])("%s: what is under way is finished, then it ends", async (signal) => {
  await using watchdog = await startWatchdog({ mode: "inproc", inproc_handler: "./handler.mjs" });
  const agent = new Agent({ keepAlive: true });
  await call(watchdog.url, agent);
  const slow = call(`${watchdog.url}/sleep?ms=300`, agent);
  await eventually("it is under way", async () => /^http_requests_in_flight 1$/m.test(await watchdog.metrics()));
  const startedAt = performance.now();
  watchdog.process.kill(signal);
  expect((await slow).body).toBe("slept");
  expect(await watchdog.ended).toEqual({ code: 0, signal: null });
  // The kept-alive connection, idle now, did not hold the end up.
  expect(performance.now() - startedAt).toBeLessThan(3000);
  agent.destroy();
});

test("calls that have come while it was busy are served before it closes", async () => {
  await using watchdog = await startWatchdog({ mode: "inproc", inproc_handler: "./handler.mjs" });
  const blocking = call(`${watchdog.url}/block`, new Agent());
  await eventually("it is busy", () => existsSync(join(watchdog.tmp, "blocked")));
  const sockets = Array.from({ length: 20 }, () => connect(watchdog.port, "127.0.0.1"));
  const sent = sockets.map(async (socket) => {
    await once(socket, "connect");
    socket.write("GET / HTTP/1.1\r\nHost: f\r\n\r\n");
  });
  await Promise.all(sent);
  watchdog.process.kill("SIGTERM");
  writeFileSync(join(watchdog.tmp, "go-on"), "");
  for (const socket of sockets) expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 .*hello$/s);
  expect((await blocking).body).toBe("went on");
  expect(await watchdog.ended).toEqual({ code: 0, signal: null });
});

test("calls that take longer than write_timeout are cut, and the exit is orderly", async () => {
  await using watchdog = await startWatchdog({ ...server("probe-server"), write_timeout: "1s", exec_timeout: "0" });
  const cut = expect(call(`${watchdog.url}/headers`, new Agent())).rejects.toThrow();
  await eventually("it is under way", async () => /^http_requests_in_flight 1$/m.test(await watchdog.metrics()));
  watchdog.process.kill("SIGTERM");
  await cut;
  expect(await watchdog.ended).toEqual({ code: 0, signal: null });
});

test("a child that ignores SIGTERM is killed", async () => {
  await using watchdog = await startWatchdog(server("stubborn-server"));
  const pid = Number(await (await fetch(watchdog.url)).text());
  watchdog.process.kill("SIGTERM");
  await watchdog.logged("ignoring SIGTERM");
  expect(await watchdog.ended).toEqual({ code: 0, signal: null });
  expect(isRunning(pid)).toBe(false);
});

test("when its supervisor goes, the watchdog and its child end at once", async () => {
  await using watchdog = await startWatchdog({ ...server("stubborn-server"), healthcheck_interval: "30s" });
  const pid = Number(await (await fetch(watchdog.url)).text());
  watchdog.process.disconnect();
  await watchdog.ended;
  await eventually("the child has ended", () => !isRunning(pid));
});

test("when its supervisor goes, forked processes end too", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "leaves-child" });
  const pending = fetch(watchdog.url).catch(() => undefined);
  const pid = await eventually("it runs", () => Number(readFileSync(`${watchdog.tmp}/left-behind`, "utf8")));
  watchdog.process.disconnect();
  await watchdog.ended;
  await pending;
  await eventually("what it started has ended", () => !isRunning(pid));
});

test("an answer to a slow reader is sent whole", async () => {
  await using watchdog = await startWatchdog({
    mode: "inproc",
    inproc_handler: "./handler.mjs",
    healthcheck_interval: "0s",
  });
  const reader = connect(watchdog.port, "127.0.0.1");
  reader.write("GET /large HTTP/1.1\r\nHost: f\r\n\r\n");
  let received = 0;
  reader.once("data", (piece: Buffer) => {
    received += piece.length;
    reader.pause();
  });
  await eventually("some of it has come", () => received > 0);
  watchdog.process.kill("SIGTERM");
  await eventually("it takes nobody", () =>
    fetch(watchdog.url).then(
      () => false,
      () => true,
    ),
  );
  reader.on("data", (piece: Buffer) => {
    received += piece.length;
  });
  reader.resume();
  await once(reader, "close");
  expect(received).toBeGreaterThan(16 * 1024 * 1024);
  expect(await watchdog.ended).toEqual({ code: 0, signal: null });
});
