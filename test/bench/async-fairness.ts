import { AsyncStack, type AsyncStackOptions } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { Ledger } from "../support/ledger.ts";
import { busyNeighbours, fastWaits, NEIGHBOURS, NEIGHBOURS_ENV } from "../support/neighbours.ts";
import { whenToldToStop } from "../support/when-told-to-stop.ts";

const ROUNDS = 5;
const CALLS = 400;
const NEIGHBOUR_CALLS = 60;

/** How long a fast function's calls wait, alone and beside slow and failing ones, in turns. Aim: p99 ≤ 1.5 × alone. */
export async function benchFairness(queue: AsyncStackOptions["queue"]): Promise<void> {
  const stack = await AsyncStack.start({ queue, functions: NEIGHBOURS, env: NEIGHBOURS_ENV });
  using _ = whenToldToStop(() => stack.remove());
  try {
    const ledger = new Ledger(stack.ledgerPath);
    const alone: number[] = [];
    const beside: number[] = [];
    let call = 0;
    for (let round = 0; round <= ROUNDS; round++) {
      const first = await fastWaits(stack, ledger, CALLS, call);
      await busyNeighbours(stack.url, NEIGHBOUR_CALLS, call + CALLS);
      const second = await fastWaits(stack, ledger, CALLS, call + 10_000);
      call += 20_000;
      if (round > 0) {
        alone.push(...first);
        beside.push(...second);
      }
      await eventually(
        "the neighbours are done",
        async () => {
          const { waiting, inFlight } = (await (await fetch(`${stack.url}/system/queue`)).json()) as {
            waiting: number;
            inFlight: number;
          };
          return waiting + inFlight === 0;
        },
        120_000,
        100,
      );
    }
    const at = (waits: number[], share: number) =>
      waits.toSorted((a, b) => a - b)[Math.floor(waits.length * share)] as number;
    const ratio = at(beside, 0.99) / at(alone, 0.99);
    console.log(
      `\nFairness, ${queue}: a fast function's calls start after p50 ${at(alone, 0.5)} ms, p99 ${at(alone, 0.99)} ms alone; ` +
        `p50 ${at(beside, 0.5)} ms, p99 ${at(beside, 0.99)} ms beside slow, failing and flapping ones: × ${ratio.toFixed(2)} (aim: ≤ 1.5)`,
    );
  } finally {
    await stack.remove();
  }
}
