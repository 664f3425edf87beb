/**
 * `npm run bench:async`: asynchronous calls side by side with what they are made of, in one run: raw publishes to
 * JetStream, accepting calls, draining them, by the gateway itself and by a worker process, synchronous calls. Numbers of
 * one machine say little; the ratios are what is claimed. `--million` measures memory with a million calls queued instead, `--profile` writes processor profiles of
 * gateway and worker to `./profiles`.
 */
import { parseArgs } from "node:util";
import { AsyncStack } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { NatsServer } from "../support/nats-server.ts";
import { whenToldToStop } from "../support/when-told-to-stop.ts";
import { benchFairness } from "./async-fairness.ts";
import { applyLoad, GENERATOR } from "./load.ts";
import { memoryOf } from "./memory.ts";
import { publishRaw } from "./publish-raw.ts";

const { values: options } = parseArgs({
  options: {
    million: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    fairness: { type: "boolean", default: true },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
  },
  allowNegative: true,
});
const SECONDS = Number(options.seconds);
const ROUNDS = Number(options.rounds);
const IN_FLIGHT = 64;
const BODY_BYTES = 256;
const WARM_UP_S = 2;
/** As many as there may be of those that wait, but for what one more load brings. */
const MILLION = 900_000;
const DRAINS_WITHIN_MS = 600_000;

type Kind = "embedded" | "jetstream";
const KINDS: readonly Kind[] = ["embedded", "jetstream"];
/** Who drains the queue: the gateway, as `faaslane start` has it, or a process of its own, as in a cluster. */
type Drainer = "gateway" | "worker";
const DRAINERS: Readonly<Record<Kind, readonly Drainer[]>> = {
  embedded: ["gateway"],
  jetstream: ["gateway", "worker"],
};

const FUNCTIONS = { bench: { handler: 'module.exports = async () => "hello";\n' } };
/** A quarter of the places is kept for others, so there are more of them than synchronous calls at a time. */
const ENV = {
  async_concurrency: "86",
  async_function_concurrency: String(IN_FLIGHT),
  async_function_max_calls: "1000000",
  drain_timeout: "1s",
};
const PROFILE = options.profile ? { NODE_OPTIONS: "--cpu-prof --cpu-prof-dir=profiles" } : {};

const startStack = (queue: Kind) =>
  AsyncStack.start({ queue, workers: 0, functions: FUNCTIONS, env: { ...ENV, ...PROFILE, async_worker: "false" } });

if (options.million) for (const kind of KINDS) await benchMillion(kind);
else {
  await benchRates();
  if (options.fairness) for (const kind of KINDS) await benchFairness(kind);
}

async function benchRates(): Promise<void> {
  console.log(
    `${IN_FLIGHT} in flight, bodies of ${BODY_BYTES} bytes, median of ${ROUNDS} × ${SECONDS} s, ${GENERATOR}`,
  );
  const rates: Record<string, number[]> = {};
  const note = (name: string, rate: number) => {
    rates[name] = [...(rates[name] ?? []), rate];
  };
  const raw = await NatsServer.start();
  const stacks: AsyncStack[] = [];
  const remove = () => Promise.all([raw.remove(), ...stacks.map((stack) => stack.remove())]);
  using _ = whenToldToStop(remove);
  try {
    for (const kind of KINDS) stacks.push(await startStack(kind));
    // In turns, so that whatever else the machine does meets all of them alike.
    for (let round = 0; round < ROUNDS; round++) {
      note("raw", await publishRaw(raw, { seconds: SECONDS, inFlight: IN_FLIGHT, bodyBytes: BODY_BYTES }));
      for (const [i, kind] of KINDS.entries()) {
        const stack = stacks[i] as AsyncStack;
        for (const drainer of DRAINERS[kind]) {
          note(`${kind} accept`, await measureAccept(stack));
          note(`${kind} drain ${drainer}`, await measureDrain(stack, drainer));
          note(`${kind} sync`, await measureSync(stack));
          await withoutWorker(stack, drainer);
        }
      }
    }
  } finally {
    await remove();
  }
  const of = (name: string) => {
    const sorted = (rates[name] as number[]).toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] as number;
  };
  console.log(`raw JetStream publish: ${of("raw").toFixed(0)}/s`);
  for (const kind of KINDS) {
    const [accept, sync] = [of(`${kind} accept`), of(`${kind} sync`)];
    const share = (accept / of("raw")).toFixed(2);
    console.log(
      `${kind}: accept ${accept.toFixed(0)}/s = ${share} × raw publish (aim: ≥ 0.5); sync ${sync.toFixed(0)}/s`,
    );
    for (const drainer of DRAINERS[kind]) {
      const drain = of(`${kind} drain ${drainer}`);
      console.log(`  drain by the ${drainer} ${drain.toFixed(0)}/s = ${(drain / sync).toFixed(2)} × sync (aim: ≥ 0.6)`);
    }
  }
}

/** Nothing drains meanwhile. */
async function measureAccept({ url }: AsyncStack): Promise<number> {
  const load = { url: `${url}/async-function/bench`, connections: IN_FLIGHT, bodyBytes: 256 };
  await applyLoad({ ...load, seconds: WARM_UP_S });
  return (await applyLoad({ ...load, seconds: SECONDS })).requestsPerSecond;
}

/** From when a fifth is done, which is what the compiler warms up with, to when nearly all is. */
async function measureDrain(stack: AsyncStack, drainer: Drainer): Promise<number> {
  const all = await waitingOf(stack);
  await withWorker(stack, drainer);
  const below = async (share: number) => {
    const waiting = await eventually(
      "calls are drained",
      async () => {
        const left = await waitingOf(stack);
        return left <= all * share && { left };
      },
      DRAINS_WITHIN_MS,
      50,
    );
    return { at: performance.now(), left: waiting.left };
  };
  const first = await below(0.8);
  const last = await below(0.05);
  await below(0);
  return ((first.left - last.left) / (last.at - first.at)) * 1000;
}

async function measureSync({ url }: AsyncStack): Promise<number> {
  const load = { url: `${url}/function/bench`, connections: IN_FLIGHT, bodyBytes: 256 };
  await applyLoad({ ...load, seconds: WARM_UP_S });
  return (await applyLoad({ ...load, seconds: SECONDS })).requestsPerSecond;
}

async function withWorker(stack: AsyncStack, drainer: Drainer): Promise<void> {
  if (drainer === "worker") return await stack.startWorker(0);
  await stack.gateway.stop();
  await stack.startGateway({ async_worker: "true" });
}

async function withoutWorker(stack: AsyncStack, drainer: Drainer): Promise<void> {
  if (drainer === "worker") {
    await stack.workers[0]?.stop();
    return;
  }
  await stack.gateway.stop();
  await stack.startGateway();
  await eventually("the function is known", async () => (await fetch(`${stack.url}/function/bench`)).status === 200);
}

async function waitingOf({ url }: AsyncStack): Promise<number> {
  return ((await (await fetch(`${url}/system/queue`)).json()) as { waiting: number }).waiting;
}

/** Memory of the processes while a million calls wait, and while they are being drained. */
async function benchMillion(kind: Kind): Promise<void> {
  const stack = await startStack(kind);
  using _ = whenToldToStop(() => stack.remove());
  const tell = async (what: string) => {
    const parts = [`gateway ${await sizeOf(stack.gateway.pid)}`];
    if (stack.workers[0]) parts.push(`worker ${await sizeOf(stack.workers[0].pid)}`);
    console.log(`${kind}, ${what}: ${parts.join(", ")}`);
  };
  try {
    await measureSync(stack);
    await tell("none queued");
    for (let waiting = 0, loads = 0; waiting < MILLION; ) {
      await applyLoad({ url: `${stack.url}/async-function/bench`, connections: IN_FLIGHT, seconds: 3, bodyBytes: 256 });
      waiting = await waitingOf(stack);
      if (waiting >= MILLION || ++loads % 10 === 0) await tell(`${waiting} queued`);
    }
    await withWorker(stack, kind === "embedded" ? "gateway" : "worker");
    for (const share of [0.99, 0.95, 0.9]) {
      await eventually(
        "some are drained",
        async () => (await waitingOf(stack)) <= MILLION * share,
        DRAINS_WITHIN_MS,
        500,
      );
      await tell(`${await waitingOf(stack)} left`);
    }
  } finally {
    await stack.remove();
  }
}

async function sizeOf(pid: number): Promise<string> {
  const { pss, rss } = await memoryOf(pid);
  return `${pss.toFixed(0)} MB PSS, ${rss.toFixed(0)} MB RSS`;
}
