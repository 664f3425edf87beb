import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { LoneGateway } from "../support/lone-gateway.ts";
import { openRaw } from "../support/switching.ts";

/** How a gateway takes its leave of everybody that it is connected with. */
let on: LoneGateway;
afterEach(() => on.close(), 60_000);

async function open(env: Record<string, string>): Promise<LoneGateway> {
  on = await LoneGateway.start({ env });
  const [replica] = await on.startReplicas(1);
  await on.announce("f", [replica?.address as string]);
  return on;
}

const health = async (url: string) => {
  const answer = await fetch(`${url}/healthz`, { headers: { connection: "close" } });
  return { status: answer.status, code: answer.headers.get("x-faaslane-error"), text: await answer.text() };
};

const CALL = "GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n";

test.each([1, 2])(
  "%i workers: first it is not ready, on both ports, and serves on; then it takes no more",
  async (workers) => {
    const { gateway, port, provider } = await open({ drain_delay: "4s", gateway_workers: String(workers) });
    provider.respond = (_request, res) => res.writeHead(200).end("OK");
    const kept = openRaw(port, CALL);
    await eventually("it is answered", () => kept.received.includes("\r\n\r\n"));
    expect((await health(gateway.url)).status).toBe(200);
    const ended = gateway.stop();
    await eventually("it is not ready", async () => (await health(gateway.url)).status === 503);
    expect(await health(gateway.url)).toEqual({ status: 503, code: "stopping", text: "the gateway is stopping\n" });
    expect(await health(gateway.metricsUrl)).toMatchObject({ status: 503, text: "the gateway is stopping" });
    // Those who have not looked yet are served all the same, on old connections and new ones.
    kept.received = "";
    kept.socket.write(CALL);
    const fresh = openRaw(port, CALL);
    for (const client of [kept, fresh]) {
      await eventually("it is answered", () => client.received.includes("\r\n\r\n"));
      expect(client.received).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect(await ended).toBe(0);
    for (const client of [kept, fresh]) {
      await eventually("it is closed", () => client.closed || client.ended);
      client.socket.destroy();
    }
    const late = connect(port, "127.0.0.1");
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNREFUSED");
  },
  60_000,
);

test.each([1, 2])(
  "%i workers: kept connections that are in use are told that they end, and no call is lost",
  async (workers) => {
    const { gateway, port } = await open({ gateway_workers: String(workers), drain_timeout: "20s" });
    const client = openRaw(port, CALL);
    const answers = () => client.received.split("HTTP/1.1 200").length - 1;
    let sent = 1;
    const timer = setInterval(() => {
      if (answers() < sent || /connection: close/i.test(client.received)) return;
      client.socket.write(CALL);
      sent++;
    }, 1);
    await eventually("some are answered", () => answers() > 20);
    const ended = gateway.stop();
    await eventually("it is closed", () => client.ended || client.closed, 30_000);
    clearInterval(timer);
    expect([answers(), /connection: close/i.test(client.received)]).toEqual([sent, true]);
    client.socket.destroy();
    expect(await ended).toBe(0);
  },
  60_000,
);

test.each([1, 2])(
  "%i workers: a call under way ends well, and one that waits for a replica is told why not",
  async (workers) => {
    await open({ gateway_workers: String(workers), drain_timeout: "15s" });
    on.provider.put({ name: "asleep", replicas: 0 });
    const answerOf = async (call: string) => {
      const answer = await fetch(call, { headers: { connection: "close" } });
      return [answer.status, answer.headers.get("x-faaslane-error"), await answer.text()];
    };
    const working = answerOf(on.url("f", "?ms=8000"));
    const waiting = answerOf(on.url("asleep"));
    await eventually("it waits", async () => (await on.metric("gateway_held_calls")) === 1);
    const ended = on.gateway.stop();
    expect((await working)[0]).toBe(200);
    expect(await waiting).toEqual([503, "stopping", "the gateway is stopping\n"]);
    expect(await ended).toBe(0);
  },
  60_000,
);

test("a log that is followed ends in order, and keeps nobody from stopping", async () => {
  const { gateway, provider } = await open({ drain_timeout: "40s" });
  provider.respond = (_request, res) => void res.writeHead(200).write('{"text":"begun"}\n');
  const answer = await fetch(`${gateway.url}/system/logs?name=f&follow=true`);
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('{"text":"begun"}\n');
  const begunAt = performance.now();
  const ended = gateway.stop();
  expect(await reader.read()).toEqual({ done: true, value: undefined });
  expect(await ended).toBe(0);
  expect(performance.now() - begunAt).toBeLessThan(30_000);
}, 60_000);
