import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import type { StoredEvent } from "../../../events/store/event-store.ts";
import { createLogger } from "../../../kit/log.ts";
import { eventually } from "../eventually.ts";

/** When a process kills itself: at its nth append, before it, before what follows it, or just after that. */
export interface DieAt {
  readonly append: number;
  readonly step: "before" | "after" | "acknowledged";
}

export interface SourceOrders {
  /** File of the store. */
  readonly path: string;
  readonly spec: object;
  readonly secrets: Readonly<Record<string, string>>;
  readonly dieAt?: DieAt;
}

const PROGRAM = fileURLToPath(new URL("./source-process.ts", import.meta.url));
const DEADLINE_MS = 30_000;

/**
 * Runs a source in one process after another, each of which is killed at the next point, and a last one until the store has
 * everything.
 * @param total of messages that differ by their data
 * @returns what is stored, duplicates included
 */
export async function runKilled(
  orders: Omit<SourceOrders, "dieAt">,
  kills: readonly DieAt[],
  total: number,
): Promise<readonly StoredEvent[]> {
  let stored = 0;
  for (const dieAt of kills) {
    const child = start({ ...orders, dieAt }, (count) => {
      stored += count;
    });
    await ended(child);
    if (child.signalCode !== "SIGKILL") throw new Error(`the process was to die at ${JSON.stringify(dieAt)}`);
  }
  const last = start(orders, (count) => {
    stored += count;
  });
  try {
    // Not all that was stored was told before the kill.
    await eventually("everything is stored", () => stored >= total - 200 || undefined, DEADLINE_MS, 20);
    await quiet(() => stored);
  } finally {
    last.kill("SIGKILL");
    await once(last, "exit");
  }
  return await storedIn(orders.path);
}

/** Nothing has come for a while. */
async function quiet(count: () => number): Promise<void> {
  for (let seen = -1; seen !== count(); ) {
    seen = count();
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
}

function start(orders: SourceOrders, onStored: (count: number) => void): ChildProcess {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROGRAM], {
    env: { PATH: process.env.PATH, SOURCE: JSON.stringify(orders) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.on("data", (data) => {
    for (const line of String(data).trim().split("\n")) onStored(Number(line));
  });
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  const late = setTimeout(() => child.kill("SIGTERM"), DEADLINE_MS);
  await once(child, "exit");
  clearTimeout(late);
}

async function storedIn(path: string): Promise<StoredEvent[]> {
  const { events, close } = await openEmbeddedEvents({ path, log: createLogger("silent"), minFreeBytes: 0 });
  const all: StoredEvent[] = [];
  try {
    for (let after: string | undefined; ; ) {
      const page = await events.list(
        { namespace: "openfaas-fn" },
        { order: "oldest", limit: 500, withData: true, ...(after !== undefined && { after }) },
      );
      all.push(...page.events.map(({ event }) => event));
      if (page.next === undefined) return all;
      after = page.next;
    }
  } finally {
    await close();
  }
}

/**
 * Of each message that came twice, one source and id.
 * @returns how many differ by their data, and how many came more than once
 */
export function judge(stored: readonly StoredEvent[]): {
  readonly distinct: number;
  readonly repeated: number;
  readonly torn: string[];
} {
  const names = new Map<string, Set<string>>();
  for (const { event } of stored) {
    const data = String(event.data);
    const { source, id } = event.attributes;
    names.set(data, (names.get(data) ?? new Set()).add(`${source} ${id}`));
  }
  return {
    distinct: names.size,
    repeated: stored.length - names.size,
    torn: [...names].filter(([, each]) => each.size > 1).map(([data]) => data),
  };
}
