import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
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
/** In which acknowledgements of what is stored have left the process. */
const ACKNOWLEDGED_MS = 300;

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
  const stored = new Set<string>();
  for (const dieAt of kills) {
    const child = start({ ...orders, dieAt }, stored);
    await ended(child);
    if (child.signalCode !== "SIGKILL") throw new Error(`the process was to die at ${JSON.stringify(dieAt)}`);
  }
  const last = start(orders, stored);
  try {
    // What was stored and not told before a kill was not acknowledged either, so it comes again.
    await eventually("everything is stored", () => stored.size >= total, DEADLINE_MS, 20);
    await new Promise((resolve) => setTimeout(resolve, ACKNOWLEDGED_MS));
  } finally {
    last.kill("SIGKILL");
    await once(last, "exit");
  }
  return await storedIn(orders.path);
}

/** @param stored gets the data of what is stored */
function start(orders: SourceOrders, stored: Set<string>): ChildProcess {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROGRAM], {
    env: { PATH: process.env.PATH, SOURCE: JSON.stringify(orders) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  createInterface(child.stdout).on("line", (line) => {
    for (const data of JSON.parse(line) as string[]) stored.add(data);
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
