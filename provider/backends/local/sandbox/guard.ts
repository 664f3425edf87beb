import { readPageSize } from "../page-size.ts";
import { listProcesses, type ProcessInfo, readProcFiles, replicaProcesses } from "../processes.ts";

/** What a replica must not exceed; absent is not looked at. */
export interface Bounds {
  readonly memoryBytes?: number;
  readonly processes?: number;
  /** Whether the kernel has found that it is out of memory; what is left of it has to go, too. */
  readonly isOut?: () => Promise<boolean>;
}

export type Excess = "memory" | "processes";

interface Watched {
  readonly pid: number;
  readonly bounds: Bounds;
  readonly onExcess: (excess: Excess) => void;
}

const INTERVAL_MS = 1_000;

/** Looks once a second at what replicas use, where the kernel does not hold them to it. */
export class ResourceGuard {
  readonly #watched = new Set<Watched>();
  readonly #onError: (error: unknown) => void;
  readonly #pageBytes = readPageSize();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  /** @param onError gets the errors of checks that failed */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /**
   * @param pid of the replica's first process
   * @param onExcess called once
   * @returns ends it
   */
  watch(pid: number, bounds: Bounds, onExcess: (excess: Excess) => void): () => void {
    // What is bound in every way needs no looking at.
    if (Object.keys(bounds).length === 0) return () => {};
    const watched = { pid, bounds, onExcess };
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => void this.#look(), INTERVAL_MS).unref();
    return () => {
      this.#watched.delete(watched);
      if (this.#watched.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const all = [...this.#watched];
      const isLookedAt = all.some(({ bounds }) => bounds.memoryBytes !== undefined || bounds.processes !== undefined);
      const processes = isLookedAt ? await listProcesses() : [];
      for (const watched of all) {
        const excess = (await watched.bounds.isOut?.())
          ? "memory"
          : await findExcess(replicaProcesses([watched.pid], processes), watched.bounds, this.#pageBytes);
        if (excess !== undefined && this.#watched.delete(watched)) watched.onExcess(excess);
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#looking = false;
    }
  }
}

async function findExcess(
  members: readonly ProcessInfo[],
  bounds: Bounds,
  pageBytes: number,
): Promise<Excess | undefined> {
  const { memoryBytes = Infinity, processes = Infinity } = bounds;
  if (members.length > processes) return "processes";
  const resident = members.map(({ residentPages }) => residentPages * pageBytes);
  // What processes share is counted for each of them here; only where that matters is the dear way worth it.
  if (sum(resident) <= memoryBytes) return undefined;
  const maps = await readProcFiles(
    members.map(({ pid }) => pid),
    "smaps_rollup",
  );
  const exact = maps.map((text, index) => parseProportionalBytes(text) ?? resident[index] ?? 0);
  return sum(exact) > memoryBytes ? "memory" : undefined;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Its memory by `/proc/<pid>/smaps_rollup`, what it shares being divided among those that share it. */
export function parseProportionalBytes(text: string | undefined): number | undefined {
  const match = /^Pss:\s+(\d+) kB$/m.exec(text ?? "");
  return match ? Number(match[1]) * 1024 : undefined;
}
