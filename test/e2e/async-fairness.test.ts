import { expect, test } from "@jest/globals";
import { AsyncStack, type AsyncStackOptions } from "../support/async-stack.ts";
import { Ledger } from "../support/ledger.ts";
import { describeWithNats } from "../support/nats.ts";
import { busyNeighbours, depthOf, fastWaits, NEIGHBOURS, NEIGHBOURS_ENV, SLOW_MS } from "../support/neighbours.ts";

/**
 * Functions that take long, fail or fail now and then share queue and worker with one that is fast, whose calls must
 * not notice. How much they notice is for `npm run bench:async`, here margins are wide: the machine may be busy.
 */

const CALLS = 200;

async function expectFastStaysFast(queue: AsyncStackOptions["queue"]): Promise<void> {
  const stack = await AsyncStack.start({ queue, functions: NEIGHBOURS, env: NEIGHBOURS_ENV });
  try {
    await busyNeighbours(stack.url, 300, 10_000);
    const waits = await fastWaits(stack, new Ledger(stack.ledgerPath), CALLS, 0);
    const p99 = waits[Math.floor(CALLS * 0.99)] as number;
    process.stderr.write(`${queue}: the fast one starts within ${waits[CALLS / 2]} ms, p99 ${p99} ms\n`);
    expect(p99).toBeLessThan(SLOW_MS / 4);
    // All that while the slow one had more to do than there are places.
    expect((await depthOf(stack.url, "slow")).waiting).toBeGreaterThan(100);
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
