import { createHash } from "node:crypto";
import type { Logger } from "../../../kit/log.ts";
import { signalQuietly } from "../../../kit/signal.ts";
import { sleep } from "../../../kit/sleep.ts";
import { listPids, readProcFiles } from "./processes.ts";

/** Every process of a replica or a build inherits it, whichever group or session it has moved to. */
export const MARK_VARIABLE = "FAASLANE_MARK";

/** For processes that start others as fast as they are killed. */
const MAX_LOOKS = 50;
/** For those that were killed to be gone. */
const BETWEEN_LOOKS_MS = 10;

/**
 * Finds and kills processes that left the group they were started in. They are told from strangers by a mark in their
 * environment, which no other process has and which, unlike a process id, is never used again. Nothing is found where
 * there is no `/proc`, nor of a process whose environment was cleared.
 */
export class OrphanProcesses {
  readonly #prefix: string;
  readonly #log: Pick<Logger, "warn">;
  /** Marks for the next search, and its result for those who wait for it. */
  #next: { readonly ids: Set<string>; readonly counts: Promise<ReadonlyMap<string, number>> } | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param folder of the backend, absolute: what another one has started is left alone */
  constructor(folder: string, log: Pick<Logger, "warn">) {
    this.#prefix = createHash("sha256").update(folder).digest("hex").slice(0, 16);
    this.#log = log;
  }

  /** Value of {@link MARK_VARIABLE} for the processes of one replica or build. */
  mark(id: string): string {
    return `${this.#prefix}.${id}`;
  }

  /** Kills every process with the mark of `id`, until none is left. Never fails: what could not be done is logged. */
  async kill(id: string): Promise<void> {
    try {
      for (let look = 0; look < MAX_LOOKS; look += 1) {
        if (look > 0) await sleep(BETWEEN_LOOKS_MS);
        const counts = await this.#look(id);
        if ((counts.get(id) ?? 0) === 0) return;
      }
      this.#log.warn({ id }, "could not kill orphaned processes of a function or a build");
    } catch (err) {
      this.#log.warn({ id, err }, "could not look for orphaned processes");
    }
  }

  /**
   * Kills every process that this backend has ever marked.
   * @returns how many there were
   */
  async killAll(): Promise<number> {
    const killed = new Set<number>();
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const found = await findMarked(`${this.#prefix}.`);
      if (found.length === 0) break;
      for (const { pid } of found) {
        killed.add(pid);
        killWithGroup(pid);
      }
      await sleep(BETWEEN_LOOKS_MS);
    }
    return killed.size;
  }

  /** One look for all who ask while another is under way: looking reads the environment of every process. */
  #look(id: string): Promise<ReadonlyMap<string, number>> {
    if (!this.#next) {
      const ids = new Set<string>();
      const counts = this.#last.then(() => {
        this.#next = undefined;
        return this.#killMarked(ids);
      });
      this.#last = counts.catch(() => undefined);
      this.#next = { ids, counts };
    }
    this.#next.ids.add(id);
    return this.#next.counts;
  }

  async #killMarked(ids: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const { pid, mark } of await findMarked(`${this.#prefix}.`)) {
      const id = mark.slice(this.#prefix.length + 1);
      if (!ids.has(id)) continue;
      killWithGroup(pid);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }
}

/** What leads a group takes it along, members without the mark included. */
function killWithGroup(pid: number): void {
  signalQuietly(-pid, "SIGKILL");
  signalQuietly(pid, "SIGKILL");
}

interface Marked {
  readonly pid: number;
  readonly mark: string;
}

async function findMarked(prefix: string): Promise<Marked[]> {
  const pids = (await listPids()).filter((pid) => pid !== process.pid);
  const environments = await readProcFiles(pids, "environ");
  const opening = `\0${MARK_VARIABLE}=${prefix}`;
  return pids.flatMap((pid, index) => {
    const environment = `\0${environments[index] ?? ""}`;
    const at = environment.indexOf(opening);
    if (at < 0) return [];
    const start = at + opening.length - prefix.length;
    const end = environment.indexOf("\0", start);
    return [{ pid, mark: environment.slice(start, end < 0 ? undefined : end) }];
  });
}
