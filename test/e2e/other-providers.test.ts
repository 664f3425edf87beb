import { afterEach, describe, expect, test } from "@jest/globals";
import { Callers } from "../support/callers.ts";
import { eventually } from "../support/eventually.ts";
import { StockGateway } from "../support/stock-gateway.ts";
import type { StockProvider } from "../support/stock-provider.ts";
import { behindHead, hasSwitched, openRaw, upgradeHead } from "../support/switching.ts";

/** A gateway with a provider of another kind under load, and what becomes of calls when that provider changes. */

let opened: StockGateway | undefined;
let callers: Callers | undefined;

afterEach(async () => {
  await callers?.stop();
  await opened?.close();
  opened = callers = undefined;
});

async function open(...options: Parameters<typeof StockGateway.open>): Promise<StockGateway> {
  opened = await StockGateway.open(...options);
  return opened;
}

/** Some callers of `f`, once it answers. */
async function load(gateway: StockGateway, parallel = 8): Promise<Callers> {
  await gateway.whenAnswered("f");
  callers = new Callers(`${gateway.gateway.url}/function/f`);
  callers.set(parallel);
  return callers;
}

async function whenDone(load: Callers, more: number): Promise<void> {
  const until = load.done + more;
  await eventually(`${more} more calls are done`, () => load.done >= until || load.failures.length > 0, 60_000);
}

/** As a provider whose caches are still empty, once. */
function emptyOnce(provider: StockProvider): StockProvider["fault"] {
  return (req, res) => {
    if (!req.url?.startsWith("/system/functions")) return false;
    provider.fault = () => false;
    res.writeHead(200).end("[]");
    return true;
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("no call is lost", () => {
  test("while the provider becomes one with an endpoints stream and back, several times", async () => {
    const gateway = await open();
    gateway.provider.deploy({ name: "f" }, 2, (_req, res) => setTimeout(() => res.end("fine"), 5));
    const load_ = await load(gateway);
    for (let round = 0; round < 3; round++) {
      await gateway.provider.replace(true, 300);
      await whenDone(load_, 100);
      const { provider } = gateway;
      provider.fault = emptyOnce(provider);
      await provider.replace(false, 300);
      await whenDone(load_, 100);
    }
    await load_.stop();
    expect(load_.failures).toEqual([]);
  }, 120_000);

  test("while the provider is restarted, and slow to tell of its functions", async () => {
    const gateway = await open();
    const { provider } = gateway;
    provider.deploy({ name: "f" }, 2);
    const load_ = await load(gateway);
    for (const awayMs of [0, 2_500]) {
      await provider.down();
      provider.fault = emptyOnce(provider);
      await pause(awayMs);
      await provider.up();
      await whenDone(load_, 200);
    }
    await load_.stop();
    expect(load_.failures).toEqual([]);
  }, 120_000);

  test("while a function is scaled up, down, and to zero", async () => {
    const gateway = await open();
    const { provider } = gateway;
    provider.startMs = 200;
    const fn = provider.deploy({ name: "f" }, 1);
    const load_ = await load(gateway);
    for (const replicas of [3, 1, 0, 2, 0]) {
      fn.scale(replicas);
      await whenDone(load_, 200);
    }
    await load_.stop();
    expect(load_.failures).toEqual([]);
  }, 120_000);
});

test("a provider that is killed takes the calls under way with it, and no others", async () => {
  const gateway = await open();
  gateway.provider.deploy({ name: "f" }, 2, (_req, res) => setTimeout(() => res.end("fine"), 20));
  const load_ = await load(gateway);
  await whenDone(load_, 50);
  await gateway.provider.down({ cut: true });
  await pause(1_000);
  const lost = load_.failures.length;
  expect(lost).toBeLessThanOrEqual(8);
  await gateway.provider.up();
  const until = load_.done + 100;
  await eventually("calls are made again", () => load_.done >= until, 30_000);
  expect(load_.failures).toHaveLength(lost);
}, 60_000);

test("a provider that takes seconds to tell of functions does not hold up calls", async () => {
  const gateway = await open();
  const { provider } = gateway;
  provider.deploy({ name: "f" }, 2);
  const load_ = await load(gateway);
  let slow = 0;
  const answered = new Set<unknown>();
  provider.fault = (req, res) => {
    if (!req.url?.startsWith("/system/") || answered.delete(req)) return false;
    slow++;
    answered.add(req);
    setTimeout(() => provider.again(req, res), 3_000);
    return true;
  };
  await eventually("it was slow", () => slow > 2, 30_000);
  await whenDone(load_, 500);
  expect(load_.failures).toEqual([]);
}, 60_000);

describe("functions scale by what the gateway sees", () => {
  test("of calls in flight, up and down again", async () => {
    const gateway = await open();
    const fn = gateway.provider.deploy(
      {
        name: "f",
        labels: {
          "com.openfaas.scale.type": "capacity",
          "com.openfaas.scale.target": "2",
          "com.openfaas.scale.max": "4",
          "com.faaslane.scale.window": "6s",
          "com.faaslane.scale.down-delay": "0s",
        },
      },
      1,
      (_req, res) => setTimeout(() => res.end("fine"), 100),
    );
    const load_ = await load(gateway, 16);
    await eventually("it has more replicas", () => fn.wanted >= 3, 60_000);
    load_.set(0);
    await eventually("it has one again", () => fn.wanted === 1, 120_000);
    expect(load_.failures).toEqual([]);
  }, 200_000);

  test("of calls per second", async () => {
    const gateway = await open();
    const labels = {
      "com.openfaas.scale.type": "rps",
      "com.openfaas.scale.target": "5",
      "com.openfaas.scale.max": "4",
    };
    const fn = gateway.provider.deploy({ name: "f", labels }, 1, (_req, res) => setTimeout(() => res.end("fine"), 50));
    const load_ = await load(gateway, 4);
    await eventually("it has more replicas", () => fn.wanted >= 3, 60_000);
    expect(load_.failures).toEqual([]);
  }, 100_000);
});

test("a provider that makes fewer replicas than are ordered, or keeps the last, is not asked over and over", async () => {
  const gateway = await open();
  const { provider } = gateway;
  provider.maxReplicas = 3;
  const labels = {
    "com.openfaas.scale.type": "capacity",
    "com.openfaas.scale.target": "1",
    "com.openfaas.scale.max": "10",
    "com.openfaas.scale.zero": "true",
    "com.openfaas.scale.zero-duration": "5s",
  };
  const fn = provider.deploy({ name: "f", labels }, 1, (_req, res) => setTimeout(() => res.end("fine"), 100));
  const load_ = await load(gateway, 8);
  const report = async () =>
    (await (await gateway.control("/system/scaling/f")).json()) as { refused?: string; byHand?: object };
  await eventually(
    "it is known that there will be no more",
    async () => (await report()).refused !== undefined,
    60_000,
    100,
  );
  expect((await report()).refused).toBe("the provider makes no more than 3 replicas of it");
  expect((await report()).byHand).toBeUndefined();
  const given = provider.orders().length;
  expect(given).toBeLessThan(10);
  await pause(7_000); // three decisions
  expect([provider.orders().length, fn.wanted]).toEqual([given, 3]);
  load_.set(0);
  const kept = async () => (await report()).refused === "replicas cannot be set to 0 in OpenFaaS CE";
  await eventually("it may not sleep", kept, 120_000, 100);
  expect((await gateway.call("f")).status).toBe(200);
}, 250_000);

test("a connection may change its protocol through the provider", async () => {
  const gateway = await open();
  gateway.provider.deploy({ name: "f" });
  await gateway.whenAnswered("f");
  const port = Number(new URL(gateway.gateway.url).port);
  const client = openRaw(port, `${upgradeHead("/function/f/a?b=c", ["X-Call-Id: mine"])}sent ahead`);
  await hasSwitched(client);
  client.socket.write(", sent later");
  await eventually("all of it is there", () => behindHead(client) === "sent ahead, sent later");
  expect(client.received).toMatch(/\r\nx-seen: mine\r\n/i);
  client.socket.end();
  await eventually("both ends are closed", () => client.closed);
});

test("of a hundred functions that are called at once each is woken once, and questions are few", async () => {
  const gateway = await open();
  const { provider } = gateway;
  provider.startMs = 500;
  const names = Array.from({ length: 100 }, (_, i) => `f${i}`);
  for (const name of names) provider.deploy({ name }, 0);
  await gateway.whenKnown("f99", 0);
  provider.requests.length = 0;
  const answers = await Promise.all(names.flatMap((name) => [gateway.call(name), gateway.call(name)]));
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(provider.orders()).toEqual(Array(100).fill(1));
  // One before each order, and few after it.
  expect(provider.requests.filter(({ url }) => url.startsWith("/system/function/")).length).toBeLessThan(600);
}, 60_000);

test("events of a stream come one by one", async () => {
  const gateway = await open();
  let next: (() => void) | undefined;
  gateway.provider.deploy({ name: "f" }, 1, (_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    let count = 0;
    next = () => {
      if (++count > 3) res.end();
      else res.write(`data: ${count}\n\n`);
    };
    next();
  });
  await gateway.whenKnown("f", 1);
  const answer = await gateway.call("f", { headers: { accept: "text/event-stream" } });
  const seen: string[] = [];
  for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
    seen.push(Buffer.from(piece).toString());
    next?.();
  }
  expect(seen).toEqual(["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]);
});
