import { applyLoad } from "./load.ts";
import { memoryOf } from "./memory.ts";
import type { WholePath } from "./whole-path.ts";

const CALLS = 1_000_000;
const STEP = 100_000;
const CONNECTIONS = 64;
/** The rate may be another one by then. */
const LONGEST_SECONDS = 10;
/** Megabytes. */
const MOST = 160;
/** What the last half may add, in megabytes: the heap is now before, now after its garbage is collected. */
const FLAT = 10;

/**
 * A million calls, with the gateway's memory at every 100,000.
 * @returns whether it stays below its limit and does not grow any more
 */
export async function benchMillion({ gateways }: WholePath): Promise<boolean> {
  const [gateway] = gateways;
  if (!gateway) throw new Error("no gateway");
  const url = `${gateway.process.url}/function/one`;
  console.log(
    `\nA million calls, ${CONNECTIONS} connections: memory of the gateway (PSS; aim: ≤ ${MOST} MB, and flat)`,
  );
  const samples: { readonly calls: number; readonly megabytes: number }[] = [];
  let calls = 0;
  let rate = (await applyLoad({ url, connections: CONNECTIONS, seconds: 1 })).requestsPerSecond;
  while (calls < CALLS) {
    const seconds = Math.min(LONGEST_SECONDS, Math.max(1, Math.ceil((STEP - (calls % STEP)) / rate)));
    const { requests, requestsPerSecond } = await applyLoad({ url, connections: CONNECTIONS, seconds });
    rate = requestsPerSecond;
    const isStep = Math.floor((calls + requests) / STEP) > Math.floor(calls / STEP);
    calls += requests;
    if (!isStep) continue;
    const megabytes = (await memoryOf(gateway.process.pid)).pss;
    samples.push({ calls, megabytes });
    console.log(
      `  ${String(calls).padStart(9)} calls ${megabytes.toFixed(1).padStart(7)} MB   ${rate.toFixed(0)} req/s`,
    );
  }
  const most = Math.max(...samples.map(({ megabytes }) => megabytes));
  const half = (late: boolean) => samples.filter((one) => one.calls > CALLS / 2 === late).map((one) => one.megabytes);
  const grown = Math.max(...half(true)) - Math.max(...half(false));
  const kept = most <= MOST && grown <= FLAT;
  console.log(`  at most ${most.toFixed(0)} MB; the second half added ${grown.toFixed(1)} MB${kept ? "" : "  ✗"}`);
  return kept;
}
