import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { type Accepted, mapSome } from "../support/async-load.ts";
import { AsyncStack, type AsyncStackOptions } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { Ledger, ledgerHandler } from "../support/ledger.ts";
import { describeWithNats } from "../support/nats.ts";

/**
 * Functions that take long, fail or fail now and then share queue and worker with one that is fast, whose calls must
 * not notice. How much they notice is for `npm run bench:async`, here margins are wide: the machine may be busy.
 */

const SLOW_MS = 5000;
const FUNCTIONS: AsyncStackOptions["functions"] = {
  fast: { handler: ledgerHandler('return "fast";') },
  // Two replicas of 16 calls each: more than the places that a worker has.
  slow: {
    handler: ledgerHandler(`await new Promise((resolve) => setTimeout(resolve, ${SLOW_MS})); return "slow";`),
    replicas: 2,
  },
  failing: { handler: ledgerHandler('return context.status(500).succeed("no");') },
  flapping: { handler: ledgerHandler('return Math.random() < 0.5 ? context.status(503).succeed("no") : "yes";') },
};
const CALLS = 200;

async function accept(url: string, name: string, call: number): Promise<Accepted> {
  const answer = await fetch(`${url}/async-function/${name}?call=${call}`, { method: "POST" });
  const location = answer.headers.get("location") ?? "";
  if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
  return { call, id: location.slice(location.lastIndexOf("/") + 1) };
}

async function expectFastStaysFast(queue: AsyncStackOptions["queue"]): Promise<void> {
  const env = {
    async_concurrency: "32",
    async_function_concurrency: "16",
    initial_retry_wait: "50ms",
    max_retry_wait: "500ms",
    drain_timeout: "1s",
  };
  const stack = await AsyncStack.start({ queue, functions: FUNCTIONS, env });
  try {
    const others = ["slow", "failing", "flapping"].flatMap((name) => Array.from({ length: 300 }, () => name));
    await mapSome([...others.entries()], 16, ([i, name]) => accept(stack.url, name, 10_000 + i));
    const ledger = new Ledger(stack.ledgerPath);
    await eventually(
      "the slow one has all the places it gets",
      async () => {
        const { functions } = (await (await fetch(`${stack.url}/system/queue`)).json()) as {
          functions: { name: string; inFlight: number }[];
        };
        return functions.some(({ name, inFlight }) => name === "slow" && inFlight >= 16);
      },
      30_000,
      50,
    );

    const sentAt = new Map<number, number>();
    for (let call = 0; call < CALLS; call++) {
      sentAt.set(call, Date.now());
      await accept(stack.url, "fast", call);
      await delay(5);
    }
    await eventually(
      "all of the fast one's calls have run",
      async () => {
        await ledger.read();
        return Array.from({ length: CALLS }, (_, call) => call).every((call) => ledger.executions.has(call));
      },
      30_000,
    );
    const waits = [...sentAt].map(([call, at]) => (ledger.executions.get(call)?.[0]?.startedAt as number) - at);
    waits.sort((a, b) => a - b);
    const p99 = waits[Math.floor(CALLS * 0.99)] as number;
    process.stderr.write(`${queue}: the fast one starts within ${waits[CALLS / 2]} ms, p99 ${p99} ms\n`);
    expect(p99).toBeLessThan(SLOW_MS / 4);

    // All that while the slow one had more to do than there are places.
    const stats = (await (await fetch(`${stack.url}/system/queue`)).json()) as {
      functions: { name: string; waiting: number; inFlight: number }[];
    };
    expect(stats.functions.find(({ name }) => name === "slow")?.waiting).toBeGreaterThan(100);
  } finally {
    expect(await stack.remove()).toEqual([]);
  }
}

test("embedded: a fast function does not wait for slow and failing ones", async () => {
  await expectFastStaysFast("embedded");
}, 120_000);

describeWithNats("jetstream", () => {
  test("a fast function does not wait for slow and failing ones", async () => {
    await expectFastStaysFast("jetstream");
  }, 120_000);
});
