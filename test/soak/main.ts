/**
 * `npm run soak -- --seconds 600`: everything that asynchronous calls can do, mixed with synchronous ones, for so long;
 * half of the time on each queue. Ends with an error when a call is lost, run too often, ends as it must not, or when
 * memory, files or processes are left.
 */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { memoryOf } from "../bench/memory.ts";
import { mapSome } from "../support/async-load.ts";
import { AsyncStack, type AsyncStackOptions } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { Ledger, ledgerHandler } from "../support/ledger.ts";
import { seededRandom, seedOf } from "../support/seeded-random.ts";
import { whenToldToStop } from "../support/when-told-to-stop.ts";
import { type Accepted, BATCH_LINES, ENDS, Traffic } from "./traffic.ts";

const { values: options } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
const IN_FLIGHT = 16;
const PAUSE_MS = 20;
/** Retries of the failing function after its first try. */
const RETRIES = 2;
const ENDS_WITHIN_MS = 60_000;
const SAMPLES = 10;
/** From the second fifth of the time to the end. Heaps settle within the first minute, some 150 MB above where they began. */
const MAX_GROWTH_MB = 150;

const FUNCTIONS: AsyncStackOptions["functions"] = {
  ledger: { handler: ledgerHandler('return "done";'), replicas: 2 },
  failing: { handler: ledgerHandler('return context.status(500).succeed("no");') },
  flapping: { handler: ledgerHandler('return Math.random() < 0.3 ? context.status(503).succeed("no") : "yes";') },
};
const ENV = {
  initial_retry_wait: "100ms",
  max_retry_wait: "1s",
  max_retry_attempts: String(RETRIES),
  drain_timeout: "2s",
  // The longest runs are longer than what is kept by default.
  async_result_ttl: "1h",
};

for (const queue of ["embedded", "jetstream"] as const) await soak(queue, Number(options.seconds) / 2);

async function soak(queue: AsyncStackOptions["queue"], seconds: number): Promise<void> {
  const traffic = seededRandom(seedOf(`soak, ${queue}`));
  const stack = await AsyncStack.start({ queue, functions: FUNCTIONS, env: ENV });
  using _ = whenToldToStop(() => stack.remove());
  const problems: string[] = [];
  try {
    const callers = new Traffic(stack.url, traffic);
    const memory = sampleMemory(stack, seconds);
    await callers.run(performance.now() + seconds * 1000, IN_FLIGHT, PAUSE_MS);
    problems.push(...(await memory));
    await eventually("nothing waits and nothing runs", () => isIdle(stack.url), ENDS_WITHIN_MS, 100);
    const ledger = new Ledger(stack.ledgerPath);
    await ledger.read();
    const found = await mapSome(callers.accepted, IN_FLIGHT, (accepted) => check(stack.url, accepted, ledger));
    problems.push(...found.flat());
    const kinds = Object.groupBy(callers.accepted, ({ kind }) => kind);
    const counts = Object.entries(kinds).map(([kind, calls]) => `${calls.length} ${kind}`);
    console.log(`${queue}: ${callers.syncCalls} sync, ${counts.join(", ")} calls in ${seconds} s`);
  } catch (error) {
    process.stderr.write(stack.output());
    throw error;
  } finally {
    const left = await stack.remove();
    if (left.length > 0) problems.push(`processes are left: ${left.join(", ")}`);
    if (existsSync(stack.folder)) problems.push(`a folder is left: ${stack.folder}`);
  }
  if (problems.length > 0)
    throw new Error(`${queue}: ${problems.length} problems\n${problems.slice(0, 20).join("\n")}`);
}

async function isIdle(url: string): Promise<boolean> {
  const stats = (await (await fetch(`${url}/system/queue`)).json()) as { waiting: number; inFlight: number };
  return stats.waiting + stats.inFlight === 0;
}

/** Nothing died, so every execution is accounted for. */
async function check(url: string, accepted: Accepted, ledger: Ledger): Promise<string[]> {
  const { id, kind, call, acceptedAt, delayMs } = accepted;
  const answer = await fetch(`${url}/async-function/${id}?wait=10s`);
  const text = await answer.text();
  const where = `${kind} call ${call} (${id})`;
  if (answer.status !== 200) return [`${where}: status ${answer.status} ${text}`];
  const { state, attempts } = JSON.parse(text) as { state: string; attempts: number };
  const problems = ENDS[kind].includes(state) ? [] : [`${where} ended as ${state}`];
  const executions = ledger.executions.get(call) ?? [];
  const expected = { batch: BATCH_LINES, failing: RETRIES + 1, flapping: attempts }[kind as string] ?? 1;
  // A call that is cancelled while it runs has run.
  const fewest = state === "cancelled" ? 0 : expected;
  if (executions.length < fewest || executions.length > expected) {
    problems.push(`${where}: ${state}, ran ${executions.length} times rather than ${expected}`);
  }
  // Clocks of one machine; the caller's is read after the answer, so a call may be that much early by it.
  const early = executions[0] !== undefined && executions[0].startedAt < acceptedAt + delayMs - 1000;
  if (delayMs > 0 && early) problems.push(`${where} ran too early`);
  return problems;
}

/** @returns what is wrong with how memory grows */
async function sampleMemory(stack: AsyncStack, seconds: number): Promise<string[]> {
  const processes = { gateway: stack.gateway.pid, ...(stack.workers[0] && { worker: stack.workers[0].pid }) };
  const samples: Record<string, number[]> = {};
  for (let i = 0; i < SAMPLES; i++) {
    await new Promise((resolve) => setTimeout(resolve, (seconds * 1000) / SAMPLES));
    for (const [name, pid] of Object.entries(processes))
      samples[name] = [...(samples[name] ?? []), (await memoryOf(pid)).pss];
  }
  return Object.entries(samples).flatMap(([name, sizes]) => {
    console.log(`${name}: ${sizes.map((size) => size.toFixed(0)).join(" ")} MB`);
    const growth = (sizes.at(-1) as number) - (sizes[SAMPLES / 5] as number);
    return growth > MAX_GROWTH_MB ? [`${name} has grown by ${growth.toFixed(0)} MB`] : [];
  });
}
