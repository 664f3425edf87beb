import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import {
  behindHead,
  deploySwitching,
  hasSwitched,
  openRaw,
  type RawClient,
  upgradeHead,
} from "../support/switching.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path, env: { log_level: "info", upgrade_idle_timeout: "3s" } });
  await deploySwitching(platform, "sw");
  await eventually("the function answers", async () => (await fetch(`${platform.url}/function/sw`)).ok, 30_000, 100);
}, 60_000);
afterAll(async () => {
  await platform.stop();
  await folder.remove();
});

/** Says that it has nothing more to say when the other side has, as clients do. */
async function closed(client: RawClient): Promise<void> {
  await eventually("the other side has said all", () => client.ended || client.closed, 20_000);
  if (!client.closed) client.socket.end();
  await eventually("the connection is closed", () => client.closed, 20_000);
}

async function metric(series: string): Promise<number> {
  const lines = (await (await fetch(`${platform.metricsUrl}/metrics`)).text()).split("\n");
  return Number(lines.find((line) => line.startsWith(series))?.split(" ")[1] ?? 0);
}

const UNDER_WAY = 'gateway_function_invocation_inflight{function_name="sw.openfaas-fn"}';
const SWITCHED = 'gateway_function_invocation_total{function_name="sw.openfaas-fn",code="101"}';

/** Sends a whole message in frames of a few bytes, masked as clients have to. */
function frames(text: string, pieces: number): Buffer {
  const size = Math.ceil(text.length / pieces);
  return Buffer.concat(
    Array.from({ length: pieces }, (_, index) => {
      const payload = Buffer.from(text.slice(index * size, (index + 1) * size));
      const last = index === pieces - 1 ? 0x80 : 0;
      return Buffer.concat([Buffer.from([last | (index === 0 ? 1 : 0), 0x80 | payload.length, 0, 0, 0, 0]), payload]);
    }),
  );
}

describe.each([["the gateway"], ["the provider"]])("through %s", (way) => {
  const port = () => (way === "the gateway" ? platform.port : platform.providerPort);
  const open = (path: string, headers: readonly string[] = []) =>
    openRaw(port(), upgradeHead(`/function/sw${path}`, headers));

  test("a WebSocket client and a function talk, in small messages and in large ones", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port()}/function/sw/ws`);
    socket.binaryType = "arraybuffer";
    const got: unknown[] = [];
    socket.onmessage = ({ data }) => got.push(data);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const large = Buffer.alloc(5_000_000, "äöü");
    socket.send("hello");
    socket.send(large);
    await eventually("both are back", () => got.length === 2, 30_000);
    expect(got[0]).toBe("hello");
    expect(Buffer.from(got[1] as ArrayBuffer).equals(large)).toBe(true);
    const end = new Promise<CloseEvent>((resolve) => {
      socket.onclose = resolve;
    });
    socket.close(4001, "enough");
    expect(await end).toMatchObject({ code: 4001, reason: "enough", wasClean: true });
  });

  test("pings, and messages in fragments, pass", async () => {
    const client = open("/ws", ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]);
    await hasSwitched(client);
    expect(client.received.toLowerCase()).toContain("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=");
    client.socket.write(Buffer.from([0x89, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    await eventually("the pong", () => behindHead(client) === "\x8a\x02hi");
    client.socket.write(frames("in three pieces", 3));
    await eventually("the message", () => behindHead(client).endsWith("\x81\x0fin three pieces"));
    client.socket.destroy();
  });

  test("the function sees the request, with what it may answer to, and no hop's own headers", async () => {
    const client = open("/raw?q=%20a", ["X-Hop: 1", "Connection: X-Hop"]);
    await hasSwitched(client);
    const seen = JSON.parse(/x-seen: (.*)\r\n/i.exec(client.received)?.[1] as string);
    expect(seen).toMatchObject({ url: "/raw?q=%20a", connection: "Upgrade", upgrade: "echo" });
    expect(client.received).toMatch(/\r\nconnection: Upgrade\r\nupgrade: echo\r\n/i);
    expect(client.received).not.toMatch(/content-length/i);
    client.socket.destroy();
  });

  test("bytes that are sent ahead by either side arrive", async () => {
    const ahead = openRaw(port(), `${upgradeHead("/function/sw/raw")}sent ahead`);
    await eventually("they are back", () => behindHead(ahead) === "sent ahead");
    ahead.socket.destroy();
    const early = open("/early");
    await eventually("they are there", () => behindHead(early) === "early bytes");
    early.socket.destroy();
  });

  test("a client that has said all still gets the answer", async () => {
    const client = open("/count");
    await hasSwitched(client);
    client.socket.end("x".repeat(1_000_000));
    await closed(client);
    expect([behindHead(client), client.error]).toEqual(["1000000", undefined]);
  });

  test("a function that has said all is still told more", async () => {
    const client = open("/farewell");
    await eventually("its end", () => client.ended);
    expect(behindHead(client)).toBe("farewell");
    const word = `word through ${way}`;
    client.socket.end(word);
    await closed(client);
    const logs = () => platform.control("/system/logs?name=sw&follow=false");
    await eventually("the function has read it", async () =>
      (await (await logs()).text()).includes(`after farewell: ${word}`),
    );
  });

  test("a flood waits for a reader that is slow, and comes whole", async () => {
    const client = open("/flood");
    client.socket.pause();
    await new Promise((resolve) => client.socket.once("connect", resolve));
    client.socket.resume();
    await eventually("all has come", () => client.ended, 30_000);
    expect(behindHead(client).length).toBe(64 * 1024 * 1024);
    client.socket.destroy();
  });

  test("an answer that is no switch is passed on", async () => {
    const refused = open("/refuse");
    await eventually("it ends", () => refused.ended);
    expect(refused.received).toMatch(/^HTTP\/1\.1 403 .*x-why: age\r\n.*\r\n\r\nrefused$/is);
  });

  test("a function that breaks off looks broken off", async () => {
    const client = open("/reset");
    await hasSwitched(client);
    client.socket.write("x");
    await closed(client);
    expect(client.error?.code).toBe("ECONNRESET");
  });

  test("a client that breaks off ends its call", async () => {
    const client = open("/raw");
    await hasSwitched(client);
    client.socket.resetAndDestroy();
    await eventually("no call is under way", async () => (await metric(UNDER_WAY)) === 0);
  });

  test("one on which nothing moves is closed, in order", async () => {
    const client = open("/raw");
    await hasSwitched(client);
    await closed(client);
    expect([client.ended, client.error]).toEqual([true, undefined]);
  }, 30_000);
});

test("an open one is a call under way, and ends as a 101", async () => {
  await eventually("earlier ones are over", async () => (await metric(UNDER_WAY)) === 0);
  const before = await metric(SWITCHED);
  const client = openRaw(platform.port, upgradeHead("/function/sw/raw"));
  await hasSwitched(client);
  expect([await metric(UNDER_WAY), await metric(SWITCHED)]).toEqual([1, before]);
  client.socket.end();
  await closed(client);
  await eventually("it is over", async () => (await metric(UNDER_WAY)) === 0);
  expect(await metric(SWITCHED)).toBe(before + 1);
});

test("a function at zero is woken by it", async () => {
  await deploySwitching(platform, "zero");
  const scale = (replicas: number) =>
    platform.control("/system/scale-function/zero", {
      method: "POST",
      body: JSON.stringify({ service: "zero", replicas }),
    });
  const replicas = async () =>
    ((await (await platform.control("/system/function/zero")).json()) as { availableReplicas?: number })
      .availableReplicas ?? 0;
  await eventually("it is up", async () => (await replicas()) === 1, 20_000, 50);
  expect((await scale(0)).status).toBe(202);
  await eventually("it sleeps", async () => (await replicas()) === 0, 20_000, 50);
  const client = openRaw(platform.port, `${upgradeHead("/function/zero/raw")}wake up`);
  await eventually("the answer", () => behindHead(client) === "wake up", 20_000);
  client.socket.destroy();
}, 60_000);

test("a function that dies takes its connections along, and the next one is served", async () => {
  await deploySwitching(platform, "mortal");
  const first = openRaw(platform.port, upgradeHead("/function/mortal/die"));
  await eventually("the switch", () => first.received.includes(" 101 "), 20_000);
  first.socket.write("x");
  await closed(first);
  await eventually(
    "another replica serves",
    async () => {
      const next = openRaw(platform.port, `${upgradeHead("/function/mortal/raw")}again`);
      await eventually("an answer", () => next.closed || next.ended || behindHead(next) !== "", 10_000);
      next.socket.destroy();
      return behindHead(next) === "again";
    },
    30_000,
  );
}, 60_000);

test("`max_inflight` counts them", async () => {
  await deploySwitching(platform, "few", { "com.openfaas.scale.max": "1" }, { max_inflight: "1" });
  const first = openRaw(platform.port, upgradeHead("/function/few/raw"));
  await eventually("the switch", () => first.received.includes(" 101 "), 20_000);
  expect((await fetch(`${platform.url}/function/few`)).status).toBe(429);
  first.socket.end();
  await closed(first);
  await eventually("there is room", async () => (await fetch(`${platform.url}/function/few`)).ok);
}, 60_000);

test("a gateway that stops lets them end in order", async () => {
  const own = await temporaryFolder();
  const stopping = await Platform.start({ dataDir: own.path, env: { drain_timeout: "3s" } });
  try {
    await deploySwitching(stopping, "sw");
    const client = openRaw(stopping.port, upgradeHead("/function/sw/raw"));
    await eventually("the switch", () => client.received.includes(" 101 "), 20_000);
    stopping.kill("SIGTERM");
    await eventually("new callers are refused", async () => {
      const late = openRaw(stopping.port, upgradeHead("/function/sw/raw"));
      await eventually("an end", () => late.closed || late.ended || late.received !== "");
      late.socket.destroy();
      return !late.received.includes(" 101 ");
    });
    client.socket.write("still here");
    await eventually("it is still served", () => behindHead(client) === "still here");
    await closed(client);
    expect([client.ended, client.error]).toEqual([true, undefined]);
    expect(await stopping.ended).toBe(0);
  } finally {
    await stopping.stop();
    await own.remove();
  }
}, 60_000);
