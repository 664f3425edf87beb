import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";

const servers: DrainingServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.drain(0);
});

async function open(handler: Parameters<typeof listen>[0]): Promise<DrainingServer> {
  const server = await listen(handler, { port: 0, host: "127.0.0.1" });
  servers.push(server);
  return server;
}

test("a port in use is the caller's to handle", async () => {
  const { port } = await open((_req, res) => res.end());
  await expect(listen((_req, res) => res.end(), { port, host: "127.0.0.1" })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
});

test("draining waits for requests under way, and for no idle or silent connection", async () => {
  const release = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const server = await open((req, res) => {
    if (req.url !== "/slow") return res.end("quick");
    reached.resolve();
    return void release.promise.then(() => res.end("slow"));
  });
  expect(await (await fetch(server.url)).text()).toBe("quick"); // leaves an idle connection
  const silent = connect(server.port, "127.0.0.1");
  const slow = fetch(`${server.url}/slow`);
  await reached.promise;
  let drained = false;
  const draining = server.drain(5_000).then(() => {
    drained = true;
  });
  await eventually("new connections are refused", () =>
    fetch(server.url).then(
      () => false,
      () => true,
    ),
  );
  expect(drained).toBe(false);
  release.resolve();
  expect(await (await slow).text()).toBe("slow");
  await draining;
  silent.destroy();
});

test("draining cuts what is left at its deadline", async () => {
  const reached = Promise.withResolvers<void>();
  const server = await open(() => reached.resolve());
  const stuck = fetch(server.url).catch((error: Error) => error.message);
  await reached.promise;
  await server.drain(50);
  expect(await stuck).toBe("fetch failed");
});

test.each<[what: string, request: string, status: number]>([
  ["garbage", "nonsense\r\n\r\n", 400],
  ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
  ["a head over 1 MiB", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(1_100_000)}\r\n\r\n`, 431],
])("%s is answered, with the reason as text", async (_what, request, status) => {
  const server = await open((_req, res) => res.end());
  const answer = await rawRequest(server.port, request);
  expect(answer?.status).toBe(status);
  expect(answer?.body).toContain(String(status));
});

test("a busy kept connection is told with its last answer that it ends", async () => {
  const server = await open((_req, res) => setImmediate(() => res.end("answer")));
  const agent = new Agent({ keepAlive: true });
  let stopped = false;
  const failures: string[] = [];
  const caller = async () => {
    while (!stopped) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const req = request({ port: server.port, agent }, (res) => res.resume().on("end", resolve));
      req.on("error", (error: NodeJS.ErrnoException) => {
        // A new connection is refused, which is as it should be; one in use must not break.
        if (error.code === "ECONNREFUSED") stopped = true;
        else failures.push(`${error.code} on a ${req.reusedSocket ? "used" : "new"} connection`);
        resolve();
      });
      req.end();
      await promise;
    }
  };
  const callers = Array.from({ length: 16 }, caller);
  await new Promise((resolve) => setImmediate(resolve));
  await server.drain(2_000);
  await Promise.all(callers);
  agent.destroy();
  expect(failures.filter((failure) => failure.includes("used"))).toEqual([]);
});

test("who has connected before the closing is answered", async () => {
  const server = await open((_req, res) => res.end("answer"));
  const answers = Array.from({ length: 20 }, () => rawRequest(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await new Promise((resolve) => process.nextTick(resolve)); // addresses are dialled a tick later
  await server.drain(5_000);
  expect((await Promise.all(answers)).map((answer) => answer?.status)).toEqual(Array(20).fill(200));
});

test.each(["answered before", "not answered yet"])("an answer to a slow reader, %s, is sent whole", async (when) => {
  const bytes = 32 * 1024 * 1024;
  const go = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const server = await open(async (_req, res) => {
    if (when === "not answered yet") await go.promise;
    res.setHeader("Content-Length", bytes).end(Buffer.alloc(bytes));
    ended.resolve();
  });
  const reader = connect(server.port, "127.0.0.1");
  reader.pause();
  reader.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  if (when === "answered before") await ended.promise;
  else await eventually("it is under way", async () => (await connectionsOf(server)) === 1);
  const drained = server.drain(20_000);
  await eventually("it takes nobody", () => !server.server.listening);
  go.resolve();
  await ended.promise;
  let received = 0;
  reader.on("data", (piece: Buffer) => {
    received += piece.length;
  });
  reader.resume();
  await once(reader, "close");
  expect(received).toBeGreaterThan(bytes);
  await drained;
});

function connectionsOf({ server }: DrainingServer): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
