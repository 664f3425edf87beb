import type { LookupAddress } from "node:dns";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Lookup } from "../../kit/outbound/connector.ts";
import { type CallbackTargetRules, CallbackTargets } from "../../kit/outbound/targets.ts";
import { WorkerSetup } from "../gateway/async/worker-setup.ts";
import { buildImage } from "../support/build-upload.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";

/** URLs that lead a callback to where `callback_private=false` forbids it to go. PORT is one on which this machine listens. */
const ADDRESSES: readonly string[] = [
  "http://127.0.0.1:PORT/",
  "HTTPS://127.0.0.1:PORT/",
  "http://127.0.0.2:PORT/",
  "http://127.255.255.254:PORT/",
  "http://127.1:PORT/",
  "http://127.0.1:PORT/",
  "http://127.0.0.1.:PORT/",
  "http://2130706433:PORT/",
  "http://0177.0.0.1:PORT/",
  "http://017700000001:PORT/",
  "http://0x7f.0.0.1:PORT/",
  "http://0x7f000001:PORT/",
  "http://0x7f.1:PORT/",
  "http://0177.0x0.1:PORT/",
  "http://%31%32%37.0.0.1:PORT/",
  "http://127%2e0%2e0%2e1:PORT/",
  "http://127%E3%80%820%E3%80%820%E3%80%821:PORT/",
  "http://%E2%91%A0%E2%91%A1%E2%91%A6.0.0.1:PORT/",
  "http://0.0.0.0:PORT/",
  "http://0:PORT/",
  "http://[::]:PORT/",
  "http://[::1]:PORT/",
  "http://[0:0:0:0:0:0:0:1]:PORT/",
  "http://[::127.0.0.1]:PORT/",
  "http://[::ffff:127.0.0.1]:PORT/",
  "http://[::ffff:7f00:1]:PORT/",
  "http://[::ffff:0:127.0.0.1]:PORT/",
  "http://[64:ff9b::7f00:1]:PORT/",
  "http://[2002:7f00:1::]:PORT/",
  "http://[2001::7f00:1]:PORT/",
  "http://[fe80::1]:PORT/",
  "http://[fe80::1%25lo]:PORT/",
  "http://[fd00:ec2::254]/latest/meta-data",
  "http://[ff02::1]:PORT/",
  "http://169.254.169.254/latest/meta-data/",
  "http://[::ffff:169.254.169.254]/latest/meta-data/",
  "http://0xa9fea9fe/latest/meta-data/",
  "http://2852039166/latest/meta-data/",
  "http://100.100.100.200/latest/meta-data/",
  "http://192.0.0.192/opc/v2/",
  "http://10.0.0.1/",
  "http://172.16.0.1/",
  "http://192.168.0.1/",
  "http://198.18.0.1/",
  "http://224.0.0.1/",
  "http://255.255.255.255/",
  "http://localhost:PORT/",
  "http://LOCALHOST:PORT/",
  "http://localhost.:PORT/",
  "http://any.localhost:PORT/",
  "http://user:word@127.0.0.1:PORT/",
  "http://example.com@127.0.0.1:PORT/",
  "http://example.com:80@127.0.0.1:PORT/",
  "http://127.0.0.1:PORT#@example.com/",
  "http://127.0.0.1:PORT?@example.com/",
  "http://127.0.0.1:PORT\\@example.com/",
  "http:127.0.0.1:PORT/",
  "http:///127.0.0.1:PORT/",
  "http:\\\\127.0.0.1:PORT\\",
];

/** The first byte of whoever speaks TLS. */
const TLS_HANDSHAKE = 0x16;

const NO_CALLBACKS: readonly string[] = [
  "//127.0.0.1:PORT/",
  "127.0.0.1:PORT",
  "file:///etc/passwd",
  "ftp://127.0.0.1:PORT/",
  "gopher://127.0.0.1:PORT/_x",
  "data:text/plain,x",
  "javascript:0",
  "unix:/run/docker.sock",
  "http+unix://%2frun%2fdocker.sock/",
  "ws://127.0.0.1:PORT/",
  "http://127.0.0.1:PORT/ http://example.com/",
  "http://127.0.0.1:PORT/\thttp://example.com/",
  "http://127.0.0.1:99999/",
  "http://",
  `http://127.0.0.1:PORT/${"x".repeat(8192)}`,
];

describe("a platform that must not call private addresses", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;
  /** Takes connections on every address of this machine. */
  let trap: Server;
  /** Those of callbacks: others may still look for a server that had the port before. */
  let connections = 0;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const env = {
      callback_private: "false",
      callback_allow: "127.0.0.77",
      max_retry_attempts: "0",
      callback_timeout: "1s",
    };
    platform = await Platform.start({ dataDir: folder.path, env });
    const handler = "export default (req, res) => res.end('result');\n";
    const descriptor = JSON.stringify({ env: { mode: "inproc", inproc_handler: "./f.mjs" } });
    await buildImage(platform, "f:1", { "faaslane.json": descriptor, "f.mjs": handler });
    const deployed = await platform.control("/system/functions", {
      method: "POST",
      body: JSON.stringify({ service: "f", image: "f:1" }),
    });
    expect(deployed.status).toBe(202);
    trap = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", (bytes) => {
        if (bytes[0] === "P".charCodeAt(0) || bytes[0] === TLS_HANDSHAKE) connections++;
        socket.destroy();
      });
    });
    await new Promise<void>((resolve) => trap.listen(0, resolve));
  });

  afterAll(async () => {
    await platform.stop();
    await new Promise((resolve) => trap.close(resolve));
    await folder.remove();
    expect(connections).toBe(0);
  });

  /** Asks for a call whose result goes to `url`. @returns the status, what the refusal says, or how the call has ended */
  async function callBack(url: string): Promise<{ status: number | undefined; said: string; location?: string }> {
    const head = ["POST /async-function/f HTTP/1.1", "Host: x", `X-Callback-Url: ${url}`, "Content-Length: 0"];
    const answer = await rawRequest(platform.port, `${head.join("\r\n")}\r\n\r\n`);
    const location = answer?.headers.get("location")?.[0];
    if (location === undefined) return { status: answer?.status, said: answer?.body ?? "" };
    const ended = await fetch(`${platform.url}${location}?wait=10s`);
    return { status: answer?.status, said: await ended.text(), location };
  }

  test.each(ADDRESSES)("%s is not called", async (address) => {
    const { status, said } = await callBack(address.replace("PORT", String((trap.address() as AddressInfo).port)));
    expect([status, said]).toEqual([400, expect.stringMatching(/^X-Callback-Url: must /)]);
    expect(said).not.toContain("word");
    expect(connections).toBe(0);
  });

  test.each(NO_CALLBACKS)("%s is no callback", async (address) => {
    const { status, said } = await callBack(address.replace("PORT", String((trap.address() as AddressInfo).port)));
    expect([status, said]).toEqual([
      400,
      expect.stringMatching(/^X-Callback-Url: must be one absolute http or https URL/),
    ]);
    expect(connections).toBe(0);
  });

  test.each([301, 302, 303, 307, 308])("a redirect by %i to a private address is not followed", async (redirect) => {
    const { port } = trap.address() as AddressInfo;
    let called = 0;
    const receiver = createHttpServer((_req, res) => {
      called++;
      res.writeHead(redirect, { location: `http://127.0.0.1:${port}/` }).end();
    });
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.77", resolve));
    const { said } = await callBack(`http://127.0.0.77:${(receiver.address() as AddressInfo).port}/`);
    expect(JSON.parse(said)).toMatchObject({ state: "dead", reason: `the callback failed: status ${redirect}` });
    expect([called, connections]).toEqual([1, 0]);
    receiver.closeAllConnections();
    receiver.close();
  });
});

describe("a name, which may stand for one address now and for another later", () => {
  const setup = WorkerSetup.use();
  const callbacks = () => setup.receiver.received.filter(({ method }) => method === "POST");
  const rules = (given: Partial<CallbackTargetRules>) =>
    new CallbackTargets({ private: false, allow: [], deny: [], ...given });

  /** Answers with one list of addresses after the other, the last one for ever. */
  function resolver(...answers: string[][]): { readonly lookup: Lookup; readonly asked: string[] } {
    const asked: string[] = [];
    const lookup: Lookup = (hostname, _options, callback) => {
      const answer = answers[Math.min(asked.length, answers.length - 1)] ?? [];
      asked.push(hostname);
      const addresses = answer.map((address): LookupAddress => ({ address, family: address.includes(":") ? 6 : 4 }));
      process.nextTick(callback, null, addresses);
    };
    return { lookup, asked };
  }

  test.each([
    ["an address", () => `http://user:hunter2@127.0.0.1:${setup.receiver.port}/hook?token=hunter2`],
    ["one that is mapped", () => `http://user:hunter2@[::ffff:127.0.0.1]:${setup.receiver.port}/?token=hunter2`],
    ["a name of loopback", () => `http://user:hunter2@localhost:${setup.receiver.port}/?token=hunter2`],
  ])("that was accepted before the rules were is not connected to: %s", async (_rule, url) => {
    const outcomes: unknown[] = [];
    const events = {
      calledBack: ({ outcome, tries }: { outcome: string; tries: number }) => outcomes.push([outcome, tries]),
    };
    await setup.start({ targets: rules({}), events });
    const id = await setup.publish({ callbackUrl: url() });
    await setup.settled();
    expect(callbacks()).toHaveLength(0);
    expect(setup.record(id)).toMatchObject({ state: "dead", attempts: 1, outcome: { status: 200 } });
    expect(setup.record(id).reason).toBe("the callback failed: its target is refused: its address is not public");
    expect(outcomes).toEqual([["refused", 1]]);
    expect(JSON.stringify(setup.logged)).not.toContain("hunter2");
    expect(setup.logged.filter(({ msg }) => msg === "callback failed")).toMatchObject([
      { target: expect.stringMatching(/^http:\/\/[^/?@]+:\d+$/), tries: 1 },
    ]);
  });

  test.each(["http", "https"])("that stands for a private address is not connected to by %s", async (scheme) => {
    const { lookup, asked } = resolver(["127.0.0.1"]);
    await setup.start({ targets: rules({}), lookup });
    const id = await setup.publish({ callbackUrl: `${scheme}://rebind.test:${setup.receiver.port}/` });
    await setup.settled();
    expect(asked).toEqual(["rebind.test"]);
    expect(callbacks()).toHaveLength(0);
    expect(setup.record(id).reason).toContain("its address is not public");
  });

  test("that turns to a private address between two tries is found refused at the second", async () => {
    const { lookup, asked } = resolver(["127.0.0.1"], ["127.0.0.2"]);
    setup.receiver.answer = (_request, res) => res.writeHead(503, { connection: "close" }).end();
    await setup.start({ targets: rules({ allow: ["127.0.0.1"] }), lookup });
    const id = await setup.publish({ callbackUrl: `http://rebind.test:${setup.receiver.port}/` });
    await setup.settled();
    expect(asked).toEqual(["rebind.test", "rebind.test"]);
    expect(callbacks()).toHaveLength(1);
    expect(setup.record(id).reason).toBe("the callback failed: its target is refused: its address is not public");
  });

  test("that stands for several addresses is called at the allowed ones only", async () => {
    let connections = 0;
    const closed = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.2", resolve));
    try {
      const { lookup } = resolver(["127.0.0.2", "127.0.0.1"]);
      await setup.start({ targets: rules({ allow: ["127.0.0.1"] }), lookup });
      await setup.publish({ callbackUrl: `http://both.test:${setup.receiver.port}/` });
      await setup.settled();
      expect(callbacks()[0]?.headers.host).toBe(`both.test:${setup.receiver.port}`);
      expect(connections).toBe(0);
    } finally {
      closed.close();
    }
  });
});
