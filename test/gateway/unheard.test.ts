import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";

let provider: FakeProvider;
let gateway: OpenGateway;
let replica: Server;
let listens = true;
/** Bodies that reached the function, and calls that its watchdog answered for it. */
let reached: string[] = [];
let refused = 0;

beforeEach(async () => {
  [reached, refused, listens] = [[], 0, true];
  provider = await FakeProvider.open();
  // As of-watchdog, and the server behind it.
  replica = createServer(async (req, res) => {
    let body = "";
    for await (const chunk of req) body += String(chunk);
    if (listens) {
      reached.push(body);
      res.end("hi");
      return;
    }
    refused += 1;
    const headers = { "Content-Length": "0", "X-Duration-Seconds": "0.000412", "X-OpenFaaS-Internal": "of-watchdog" };
    res.writeHead(500, headers).end();
  });
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url.href,
    queue: "none",
    basic_auth: "false",
  });
  gateway = await openGateway(config, undefined, createLogger("silent"));
  await eventually("the gateway follows the provider", () => provider.streamCount === 1);
});

afterEach(async () => {
  await gateway.close();
  await provider.close();
  replica.closeAllConnections();
  replica.close();
});

function offer(): void {
  const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
  provider.put({ name: "f", endpoints: [{ address, instance: "a", state: "ready" }] });
}

const call = (init?: RequestInit) => fetch(`${gateway.url}/function/f`, init);

test("a call that a watchdog could not give to its function yet is sent again, and reaches it once", async () => {
  listens = false;
  offer();
  const answers = [call(), call({ method: "POST", body: "paid" })];
  await eventually("both were refused", () => refused >= 2);
  listens = true;
  expect(await Promise.all(answers.map(async (answer) => (await answer).text()))).toEqual(["hi", "hi"]);
  expect(reached.toSorted()).toEqual(["", "paid"]);
});

test("of one whose function has answered before, the watchdog's word is passed on", async () => {
  offer();
  expect((await eventually("it answers", async () => (await call()).status)) === 200).toBe(true);
  listens = false;
  const answer = await call();
  expect([answer.status, await answer.text(), refused]).toEqual([500, "", 1]);
});

test("a body that is a stream has been given away, so the watchdog's word is passed on", async () => {
  listens = false;
  offer();
  const body = new ReadableStream({
    start(stream) {
      stream.enqueue(new TextEncoder().encode("part"));
      stream.close();
    },
  });
  const answer = await call({ method: "POST", body, duplex: "half" } as RequestInit);
  expect([answer.status, refused]).toEqual([500, 1]);
});

test("a caller that leaves while its call waits to be sent again is gone", async () => {
  listens = false;
  offer();
  const leave = new AbortController();
  const answer = call({ signal: leave.signal });
  await eventually("it was refused", () => refused >= 2);
  leave.abort();
  await expect(answer).rejects.toThrow();
  listens = true;
  expect(await (await call()).text()).toBe("hi");
  expect(reached).toEqual([""]);
});
