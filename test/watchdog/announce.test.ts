import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "@jest/globals";
import { openAnnouncer } from "../../watchdog/announce.ts";
import { loadWatchdogConfig } from "../../watchdog/config.ts";
import { eventually } from "../support/eventually.ts";
import { startWatchdog } from "./support/start-watchdog.ts";

interface Announced {
  readonly from: string | undefined;
  readonly authorization: string | undefined;
  readonly url: string | undefined;
  readonly body: { name: string; namespace: string; instance: string; uptimeMs: number; listeningMs: number };
}

const open: Server[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Somebody to tell. `answer` gets the number of the request, from 0. */
async function listener(
  answer: (count: number, req: IncomingMessage) => number = () => 202,
  { host = "127.0.0.1", port = 0 } = {},
): Promise<{ readonly port: number; readonly heard: Announced[] }> {
  const heard: Announced[] = [];
  let count = 0;
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const { authorization } = req.headers;
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Announced["body"];
    heard.push({ from: req.socket.remoteAddress, authorization, url: req.url, body });
    res.writeHead(answer(count++, req)).end();
  });
  await once(server.listen(port, host), "listening");
  open.push(server);
  return { port: (server.address() as AddressInfo).port, heard };
}

const announced = (port: number) => ({
  announce_url: `http://127.0.0.1:${port}/announce`,
  announce_token: "t0k3n",
  OPENFAAS_NAME: "hello",
  OPENFAAS_NAMESPACE: "fn",
  HOSTNAME: "hello-1",
});

test("a watchdog says that it takes calls, from the address that it listens on", async () => {
  const { port, heard } = await listener();
  await using watchdog = await startWatchdog({
    mode: "inproc",
    inproc_handler: "./handler.mjs",
    bind_address: "127.9.8.7",
    ...announced(port),
  });
  await eventually("it is heard", () => heard.length > 0);
  expect(heard).toEqual([
    {
      from: "127.9.8.7",
      authorization: "Bearer t0k3n",
      url: "/announce",
      body: {
        name: "hello",
        namespace: "fn",
        instance: "hello-1",
        uptimeMs: expect.any(Number),
        listeningMs: expect.any(Number),
      },
    },
  ]);
  const { uptimeMs, listeningMs } = (heard[0] as Announced).body;
  expect(listeningMs).toBeGreaterThan(0);
  expect(uptimeMs).toBeGreaterThanOrEqual(listeningMs);
  expect(watchdog.log).not.toContain("t0k3n");
});

test("not before the function itself takes calls", async () => {
  const seen: boolean[] = [];
  const { port, heard } = await listener(() => {
    seen.push(childListens);
    return 202;
  });
  let childListens = false;
  const child = await listener(() => {
    childListens = true;
    return 200;
  });
  const late = `await fetch("http://127.0.0.1:${child.port}/", { method: "POST", body: "{}" }); (await import("node:http")).createServer((q, s) => s.end()).listen(process.env.http_port, "127.0.0.1")`;
  const encoded = Buffer.from(late).toString("base64");
  await using _watchdog = await startWatchdog({
    mode: "http",
    fprocess: `${process.execPath} --input-type=module -e await(import("data:text/javascript;base64,${encoded}"))`,
    upstream_url: "http://127.0.0.1:0",
    ...announced(port),
  });
  await eventually("it is heard", () => heard.length > 0);
  expect(seen).toEqual([true]);
});

test("functions do not see what speaks for them", async () => {
  const { port, heard } = await listener();
  await using watchdog = await startWatchdog({ mode: "streaming", fprocess: "env", ...announced(port) });
  await eventually("it is heard", () => heard.length > 0);
  const environment = await (await fetch(watchdog.url)).text();
  expect(environment).toContain("OPENFAAS_NAME=hello");
  expect(environment).not.toMatch(/announce_/);
});

test("whoever nobody listens to serves all the same, and says so", async () => {
  const gone = await listener();
  open.pop()?.close();
  await using watchdog = await startWatchdog({ mode: "streaming", fprocess: "cat", ...announced(gone.port) });
  const answer = await fetch(watchdog.url, { method: "POST", body: "hi" });
  expect(await answer.text()).toBe("hi");
  await watchdog.logged(/No provider took the announcement that this replica listens: connect ECONNREFUSED/);
  expect(watchdog.running).toBe(true);
});

describe("the announcer", () => {
  const config = (port: number, host = "providers") => ({
    url: { host, port, prefix: "/announce" },
    token: "t",
    name: "hello",
    namespace: "fn",
    instance: "hello-1",
    localAddress: undefined as string | undefined,
  });
  const openWith = (given: ReturnType<typeof config>, resolve: (host: string) => Promise<string[]>) => {
    const printed: string[] = [];
    const announcer = openAnnouncer(given, { resolve, print: (line) => printed.push(line), uptimeMs: () => 5 });
    return { announcer, printed };
  };

  test("tells every address of the host, and those that were not ready again", async () => {
    const one = await listener();
    const two = await listener((count) => (count === 0 ? 401 : 202), { host: "127.0.0.2", port: one.port });
    const asked: string[] = [];
    const { announcer, printed } = openWith(config(one.port), async (host) => {
      asked.push(host);
      // Nobody is at the last one.
      return ["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.3"];
    });
    await announcer.announce();
    expect(one.heard).toHaveLength(1);
    expect(two.heard).toHaveLength(2);
    expect(asked).toEqual(["providers"]);
    expect(printed).toEqual([]);
  });

  test("asks for addresses again when there were none", async () => {
    const one = await listener();
    let asked = 0;
    const { announcer } = openWith(config(one.port), async () => {
      asked += 1;
      if (asked === 1) throw new Error("no such host yet");
      return ["127.0.0.1"];
    });
    await announcer.announce();
    expect(one.heard).toHaveLength(1);
  });

  test("is told off once only", async () => {
    const one = await listener(() => 404);
    const { announcer, printed } = openWith(config(one.port), async () => ["127.0.0.1"]);
    await announcer.announce();
    expect(one.heard).toHaveLength(1);
    expect(printed).toEqual(["No provider took the announcement that this replica listens: answered with status 404"]);
  });

  test("goes no further when it is stopped", async () => {
    const one = await listener(() => 503);
    const { announcer, printed } = openWith(config(one.port), async () => ["127.0.0.1"]);
    const done = announcer.announce();
    await eventually("it has asked", () => one.heard.length > 0);
    announcer.stop();
    await done;
    expect(one.heard).toHaveLength(1);
    expect(printed).toEqual([]);
  });

  test("leaves out addresses that its own cannot reach", async () => {
    const one = await listener();
    const { announcer } = openWith({ ...config(one.port), localAddress: "127.0.0.9" }, async () => [
      "::1",
      "127.0.0.1",
    ]);
    await announcer.announce();
    expect(one.heard.map(({ from }) => from)).toEqual(["127.0.0.9"]);
  });
});

describe("its settings", () => {
  const env = { mode: "inproc", inproc_handler: "./h.mjs" };

  test("come all together or not at all", () => {
    expect(loadWatchdogConfig(env).announce).toBeUndefined();
    const partial = { ...env, announce_url: "http://h:1/announce" };
    for (const name of ["announce_token", "OPENFAAS_NAME", "OPENFAAS_NAMESPACE"]) {
      expect(() => loadWatchdogConfig(partial)).toThrow(new RegExp(`^  ${name}: is required`, "m"));
    }
    expect(() => loadWatchdogConfig({ ...env, ...announced(1), announce_url: "https://h" })).toThrow(
      "announce_url: must be",
    );
    expect(() => loadWatchdogConfig({ ...env, ...announced(1), announce_token: "a\r\nb" })).toThrow(
      "announce_token: must be",
    );
  });

  test.each([
    [undefined, undefined],
    ["0.0.0.0", undefined],
    ["::", undefined],
    ["localhost", undefined],
    ["10.0.0.7", "10.0.0.7"],
    ["fd00::7", "fd00::7"],
  ])("bind_address %s makes it call from %s", (bindAddress, expected) => {
    const given = { ...env, ...announced(1), ...(bindAddress && { bind_address: bindAddress }) };
    expect(loadWatchdogConfig(given).announce).toMatchObject({ instance: "hello-1" });
    expect(loadWatchdogConfig(given).announce?.localAddress).toBe(expected);
  });
});
