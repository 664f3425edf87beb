import { type Accepted, type AsyncLoad, mapSome } from "./async-load.ts";
import type { Outage } from "./chaos.ts";
import { eventually } from "./eventually.ts";
import type { Execution, Ledger } from "./ledger.ts";

/** How calls ended, as the platform tells. */
export interface Fates {
  /** By id. */
  readonly states: ReadonlyMap<string, string>;
  /** Why each is dead, for every time that an id is among the dead letters. */
  readonly deadLetters: ReadonlyMap<string, readonly string[]>;
}

/** Asks for each accepted call, and for all dead letters. */
export async function fatesOf(url: string, accepted: readonly Accepted[]): Promise<Fates> {
  const states = await mapSome(accepted, 24, ({ id }) => stateOf(url, id));
  return {
    states: new Map(accepted.map(({ id }, i) => [id, states[i] as string])),
    deadLetters: await deadLetters(url),
  };
}

/** Its state once it has ended, else the one it has for so long. */
async function stateOf(url: string, id: string): Promise<string> {
  const answer = await eventually(`a status of ${id}`, async () => {
    const found = await fetch(`${url}/async-function/${id}?wait=10s`);
    if (found.status === 200 || found.status === 404) return found;
    await found.arrayBuffer();
    return undefined;
  });
  if (answer.status === 404) return `not known: ${await answer.text()}`;
  return ((await answer.json()) as { state: string }).state;
}

async function deadLetters(url: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  let after: string | undefined;
  do {
    const query = new URLSearchParams({ limit: "1000", ...(after !== undefined && { after }) });
    const answer = await fetch(`${url}/system/queue/dead-letters?${query}`);
    if (answer.status !== 200) throw new Error(`dead letters: ${answer.status} ${await answer.text()}`);
    const page = (await answer.json()) as { items: { id: string; reason: string }[]; next?: string };
    for (const { id, reason } of page.items) found.set(id, [...(found.get(id) ?? []), reason]);
    after = page.next;
  } while (after !== undefined);
  return found;
}

export interface Excess {
  /** Executions beyond what each call needs. */
  readonly total: number;
  /** Those that followed one which no death can have cut off. */
  readonly unexplained: readonly Execution[];
}

/** How long after its execution a call's end may not be durable yet, on a machine that has better things to do. */
const SETTLES_WITHIN_MS = 5000;

/**
 * Executions that were too many. One that follows another of the same call is allowed where something died during or
 * shortly after the other.
 * @param needed executions of a call when nothing dies
 */
export function findExcess(
  ledger: Ledger,
  load: AsyncLoad,
  outages: readonly Outage[],
  needed: (call: number) => number,
): Excess {
  let total = 0;
  const unexplained: Execution[] = [];
  for (const { call } of load.accepted) {
    const executions = ledger.executions.get(call) ?? [];
    const extra = executions.length - needed(call);
    if (extra <= 0) continue;
    total += extra;
    const cutOff = executions.filter(({ startedAt }) =>
      outages.some(({ from, to }) => startedAt <= to && from <= startedAt + SETTLES_WITHIN_MS),
    );
    if (cutOff.length < extra) unexplained.push(...executions);
  }
  return { total, unexplained };
}
