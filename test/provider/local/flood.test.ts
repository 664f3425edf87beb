import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import {
  call,
  deployment,
  ECHO,
  inProcess,
  type LocalFixture,
  openFixture,
  readLogs,
  readyAddresses,
  until,
  untilReady,
} from "./support.ts";

let fixture: LocalFixture;
afterEach(async () => {
  await fixture.close();
});

const MIB = 1024 * 1024;

test("a function that floods its log costs no memory, no disk, and starves neither itself nor others", async () => {
  fixture = await openFixture({ logLimitBytes: MIB });
  const { backend } = fixture;
  await fixture.addImage("echo", ECHO);
  await fixture.addImage(
    "flood",
    inProcess(`
      const text = (JSON.stringify(process.env) + "\\n").repeat(100);
      let written = 0;
      setInterval(() => { for (let n = 0; n < 10; n += 1) { process.stdout.write(text); written += text.length; } }, 0);
      export default (req, res) => res.end(String(written));
    `),
  );
  await backend.functions.create(deployment("calm", "echo"));
  await backend.functions.create(deployment("flood", "flood"));
  await untilReady(backend, "calm");
  await untilReady(backend, "flood");
  const [calm = ""] = await readyAddresses(backend, "calm");
  const [flood = ""] = await readyAddresses(backend, "flood");
  const written = async () => Number((await call(flood)).body);

  await until("it has written 50 MiB", async () => (await written()) > 50 * MIB);
  const before = process.memoryUsage().rss;
  await until("it has written 200 MiB", async () => (await written()) > 200 * MIB, 20_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB);

  let slowestMs = 0;
  for (let n = 0; n < 30; n += 1) {
    const startedAt = performance.now();
    expect((await call(calm)).status).toBe(200);
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
  }
  expect(slowestMs).toBeLessThan(2_000);

  const [home = ""] = (await readdir(join(fixture.dataDir, "functions", "openfaas-fn"))).filter((name) =>
    name.startsWith("flood."),
  );
  const logs = join(fixture.dataDir, "functions", "openfaas-fn", home, "logs");
  const sizes = await Promise.all((await readdir(logs)).map(async (name) => (await stat(join(logs, name))).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(MIB);
  const lines = await readLogs(backend, { name: "flood" });
  expect(lines.some(({ text }) => /bytes of output were dropped/.test(text))).toBe(true);
});

test("what a function sends over its watchdog's channel, without an end, costs no memory", async () => {
  fixture = await openFixture();
  const { backend } = fixture;
  await fixture.addImage(
    "talker",
    inProcess(`
      import { readdirSync, readlinkSync, writeSync } from "node:fs";
      const piece = Buffer.alloc(65_536, "x");
      let written = 0;
      const channel = readdirSync("/proc/self/fd").map(Number).find((fd) => {
        try { return fd > 2 && readlinkSync("/proc/self/fd/" + fd).startsWith("socket:"); } catch { return false; }
      });
      const send = () => {
        try { for (let n = 0; n < 100; n += 1) written += writeSync(channel, piece); } catch (error) { if (error.code !== "EAGAIN") throw error; }
      };
      export default (req, res) => {
        if (req.url === "/send") setInterval(send, 1);
        res.end(String(written));
      };
    `),
  );
  await backend.functions.create(deployment("talker", "talker"));
  await untilReady(backend, "talker");
  const [address = ""] = await readyAddresses(backend, "talker");
  const before = process.memoryUsage().rss;
  await call(address, "/send");
  const until = performance.now() + 3_000;
  let written = 0;
  while (performance.now() < until) written = Number((await call(address)).body);
  // No more than fits into the socket.
  expect(written).toBeLessThan(4 * MIB);
  expect(process.memoryUsage().rss - before).toBeLessThan(128 * MIB);
  await backend.functions.scale({ name: "talker", namespace: "openfaas-fn" }, 0);
  await untilReady(backend, "talker", 0);
});
