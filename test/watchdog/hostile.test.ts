import { connect } from "node:net";
import { expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { spawnWatchdog, startWatchdog } from "./support/start-watchdog.ts";

const rss = (metrics: string) => Number(metrics.match(/^process_resident_memory_bytes (\d+)$/m)?.[1]);

test("100 MB of log without a line end neither block a call nor grow memory", async () => {
  await using watchdog = await startWatchdog({ mode: "serializing", fprocess: "flood" });
  const response = await fetch(watchdog.url);
  expect(await response.text()).toBe("done\n");
  expect(rss(await watchdog.metrics())).toBeLessThan(200e6);
  // The flood has one line; it was split at the limit.
  const longest = Math.max(...watchdog.log.split("\n").map((line) => line.length));
  expect(longest).toBeLessThanOrEqual(65_536 + "2026/01/01 00:00:00 stderr: ".length);
});

test("100 MB of log that nobody reads slow the function down for a moment only", async () => {
  await using watchdog = spawnWatchdog(
    { mode: "http", fprocess: `${process.execPath} probe-server.mjs`, upstream_url: "http://127.0.0.1:0" },
    false,
  );
  await eventually("it announces itself", () => watchdog.port !== 0);
  expect(await (await fetch(`${watchdog.url}/flood`)).text()).toBe("flooded");
  expect(rss(await watchdog.metrics())).toBeLessThan(200e6);
  // Once somebody reads again, the log says what is missing and goes on.
  let log = "";
  watchdog.process.stdout?.on("data", (chunk: Buffer) => {
    log += chunk.toString("latin1");
  });
  await eventually("the log tells", () => /\d+ log lines dropped/.test(log));
});

test("a second watchdog on the same port says so and ends", async () => {
  await using first = await startWatchdog({ mode: "classic", fprocess: "cat" });
  await using second = spawnWatchdog({ mode: "classic", fprocess: "cat", port: String(first.port) });
  expect(await second.ended).toEqual({ code: 1, signal: null });
  await second.logged("EADDRINUSE");
});

test("bad settings are one message that names them all", async () => {
  await using watchdog = spawnWatchdog({ mode: "http", port: "x", log_buffer_size: "soon" });
  expect(await watchdog.ended).toEqual({ code: 1, signal: null });
  await watchdog.logged("upstream_url: is required");
  for (const name of ["port", "log_buffer_size", "fprocess"])
    expect(watchdog.log).toMatch(new RegExp(`^  ${name}: `, "m"));
});

test("a request that never ends is cut at read_timeout", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "cat", read_timeout: "1s" });
  const answer = await rawRequest(watchdog.port, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\npart");
  expect(answer === undefined || answer.status === 408).toBe(true);
  await eventually("no call is under way", async () => /^http_requests_in_flight 0$/m.test(await watchdog.metrics()));
});

test("a caller that does not read its answer is cut at write_timeout", async () => {
  await using watchdog = await startWatchdog({
    mode: "inproc",
    inproc_handler: "./handler.mjs",
    write_timeout: "300ms",
  });
  const socket = connect(watchdog.port, "127.0.0.1");
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => {}); // a reset is what is waited for
  socket.write("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  await eventually("it is under way", async () => /^http_requests_in_flight 1$/m.test(await watchdog.metrics()));
  await eventually("it is given up", async () => /^http_requests_in_flight 0$/m.test(await watchdog.metrics()));
  socket.resume();
  await closed;
});
