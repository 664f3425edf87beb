import { setTimeout as delay } from "node:timers/promises";
import { type Accepted, mapSome } from "./async-load.ts";
import type { AsyncStack, AsyncStackOptions } from "./async-stack.ts";
import { eventually } from "./eventually.ts";
import { type Ledger, ledgerHandler } from "./ledger.ts";

export const SLOW_MS = 5000;

/** Functions that take long, fail, and fail now and then, beside one that is fast. */
export const NEIGHBOURS: AsyncStackOptions["functions"] = {
  fast: { handler: ledgerHandler('return "fast";') },
  // Two replicas of 16 calls each: more than the places that a worker has.
  slow: {
    handler: ledgerHandler(`await new Promise((resolve) => setTimeout(resolve, ${SLOW_MS})); return "slow";`),
    replicas: 2,
  },
  failing: { handler: ledgerHandler('return context.status(500).succeed("no");') },
  flapping: { handler: ledgerHandler('return Math.random() < 0.5 ? context.status(503).succeed("no") : "yes";') },
};

export const NEIGHBOURS_ENV = {
  async_concurrency: "32",
  async_function_concurrency: "16",
  initial_retry_wait: "50ms",
  max_retry_wait: "500ms",
  max_retry_attempts: "5",
  drain_timeout: "1s",
};

/** @throws unless it is accepted */
export async function acceptCall(url: string, name: string, call: number): Promise<Accepted> {
  const answer = await fetch(`${url}/async-function/${name}?call=${call}`, { method: "POST" });
  const text = await answer.text();
  if (answer.status !== 202) throw new Error(`${answer.status} ${text}`);
  const location = answer.headers.get("location") as string;
  return { call, id: location.slice(location.lastIndexOf("/") + 1) };
}

/** What a queue has of one of its functions. */
export async function depthOf(url: string, name: string): Promise<{ waiting: number; inFlight: number }> {
  const { functions } = (await (await fetch(`${url}/system/queue`)).json()) as {
    functions: { name: string; waiting: number; inFlight: number }[];
  };
  return functions.find((fn) => fn.name === name) ?? { waiting: 0, inFlight: 0 };
}

/** Gives the fast one's neighbours `calls` each, and waits until the slow one has what it gets. */
export async function busyNeighbours(url: string, calls: number, firstCall: number): Promise<void> {
  const names = ["slow", "failing", "flapping"].flatMap((name) => Array.from({ length: calls }, () => name));
  await mapSome([...names.entries()], 16, ([i, name]) => acceptCall(url, name, firstCall + i));
  const isBusy = async () => (await depthOf(url, "slow")).inFlight >= 16;
  await eventually("the slow one has all the places it gets", isBusy, 30_000, 50);
}

/** Calls the fast one now and then. @returns milliseconds from each call to its start, in rising order */
export async function fastWaits(
  stack: AsyncStack,
  ledger: Ledger,
  calls: number,
  firstCall: number,
): Promise<number[]> {
  const sentAt = new Map<number, number>();
  for (let call = firstCall; call < firstCall + calls; call++) {
    sentAt.set(call, Date.now());
    await acceptCall(stack.url, "fast", call);
    await delay(5);
  }
  const haveRun = async () => {
    await ledger.read();
    return [...sentAt.keys()].every((call) => ledger.executions.has(call));
  };
  await eventually("all of the fast one's calls have run", haveRun, 30_000);
  const waits = [...sentAt].map(([call, at]) => (ledger.executions.get(call)?.[0]?.startedAt as number) - at);
  return waits.toSorted((a, b) => a - b);
}
