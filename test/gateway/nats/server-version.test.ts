import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import { outdated } from "../../../gateway/nats/server-version.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/free-port.ts";
import { ROOT } from "../../support/platform.ts";

test.each([
  ["2.9.10", true],
  ["2.11.99", true],
  ["1.99.0", true],
  ["2.12.0", false],
  ["v2.12.0-RC.1", false],
  ["2.15.1", false],
  ["3.0.0", false],
  ["", false],
  ["main", false],
])("whether a server of version %j is too old: %j", (version, old) => {
  const why = outdated(version);
  expect(why).toEqual(old ? `it has version ${version}, and 2.12 or newer is needed` : undefined);
});

/** Says what a server of 2.9 says first, and answers pings. */
async function oldServer(port: number): Promise<Server> {
  const info = { server_id: "A", version: "2.9.10", proto: 1, headers: true, max_payload: 1024 ** 2, jetstream: true };
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (data) => {
      if (data.includes("PING\r\n")) socket.write("PONG\r\n");
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

describe("a server that is too old", () => {
  let server: Server | undefined;
  let child: ChildProcess;
  let stderr = "";
  let stdout = "";

  const start = (command: string, port: number): Promise<number | null> => {
    [stderr, stdout] = ["", ""];
    child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(ROOT, "cli/main.ts"), command], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        nats_url: `nats://127.0.0.1:${port}`,
        basic_auth: "false",
        port: "0",
        metrics_port: "0",
      },
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    return once(child, "close").then(([code]) => code as number | null);
  };

  afterEach(() => {
    child.kill("SIGKILL");
    server?.close();
  });

  test.each(["gateway", "queue-worker"])(
    "ends the start of a %s with one line",
    async (command) => {
      const port = await freePort();
      server = await oldServer(port);
      expect(await start(command, port)).toBe(1);
      expect(stderr).toBe(
        `faaslane: cannot keep the queue at NATS nats://127.0.0.1:${port}: it has version 2.9.10, and 2.12 or newer is needed\n`,
      );
    },
    60_000,
  );

  test("ends a queue worker that has waited for it", async () => {
    const port = await freePort();
    const ended = start("queue-worker", port);
    await eventually("it waits for its server", () => stdout.includes("queue worker started"), 30_000);
    server = await oldServer(port);
    expect(await ended).toBe(1);
    expect(stderr).toMatch(/^faaslane: [^\n]* it has version 2\.9\.10, and 2\.12 or newer is needed\n$/);
  }, 60_000);
});
