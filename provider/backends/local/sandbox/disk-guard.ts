import { statfs } from "node:fs/promises";
import { allocatedBytes, treeSize } from "../tree-size.ts";

/** A folder that replicas may write to, and what it was made from. */
export interface WorkingCopy {
  readonly folder: string;
  readonly artefact: string;
}

export interface DiskGuardOptions {
  /** On the file system of all working copies. */
  readonly folder: string;
  /** Most that may be added to a working copy, in bytes. */
  readonly limitBytes: number;
  /** Gets the errors of checks that failed. */
  readonly onError: (error: unknown) => void;
}

interface Watched {
  readonly copy: WorkingCopy;
  readonly onExcess: () => void;
}

const INTERVAL_MS = 1_000;
/** How much of the disk has to go, or to come back, before working copies are measured: that means reading them. */
const STEP_BYTES = 64 * 2 ** 20;
/** They are measured so often in any case: others may free what a replica takes. */
const REGULAR_MS = 5_000;
/** Measuring takes no more than one part of so many of the time: at most, and where nothing seems to happen. */
const SHARE = 5;
const QUIET_SHARE = 500;

/** Finds replicas that fill the disk. Files that are deleted while they are open are not seen. */
export class DiskGuard {
  readonly #options: DiskGuardOptions;
  readonly #watched = new Set<Watched>();
  /** Of the disk, when the copies were last measured. */
  #freeBytes: number | undefined;
  #measuredAt = 0;
  #tookMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(options: DiskGuardOptions) {
    this.#options = options;
  }

  get limitBytes(): number {
    return this.#options.limitBytes;
  }

  /**
   * @param onExcess called once, for every replica with this working copy
   * @returns ends it
   */
  watch(copy: WorkingCopy, onExcess: () => void): () => void {
    const watched = { copy, onExcess };
    this.#watched.add(watched);
    if (!this.#timer) {
      this.#freeBytes = undefined;
      this.#measuredAt = performance.now();
      // What is free before it has written anything.
      void this.#look();
      this.#timer = setInterval(() => void this.#look(), INTERVAL_MS).unref();
    }
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
      const { bavail, bsize } = await statfs(this.#options.folder);
      const free = bavail * bsize;
      this.#freeBytes ??= free;
      if (this.#isDue(free - this.#freeBytes)) await this.#measure(free);
    } catch (error) {
      this.#options.onError(error);
    } finally {
      this.#looking = false;
    }
  }

  /** @param change of what is free, in bytes, since the copies were last measured */
  #isDue(change: number): boolean {
    const sinceMs = performance.now() - this.#measuredAt;
    const isMuch = Math.abs(change) >= Math.min(STEP_BYTES, this.#options.limitBytes / 2);
    return sinceMs >= (isMuch ? this.#tookMs * SHARE : Math.max(REGULAR_MS, this.#tookMs * QUIET_SHARE));
  }

  async #measure(free: number): Promise<void> {
    const { limitBytes } = this.#options;
    const startedAt = performance.now();
    this.#freeBytes = free;
    const copies = new Map([...this.#watched].map(({ copy }) => [copy.folder, copy]));
    for (const { folder, artefact } of copies.values()) {
      const enough = (await treeSize(artefact, { measure: allocatedBytes })) + limitBytes;
      if ((await treeSize(folder, { measure: allocatedBytes, enough })) <= enough) continue;
      for (const watched of [...this.#watched]) {
        if (watched.copy.folder === folder && this.#watched.delete(watched)) watched.onExcess();
      }
    }
    this.#measuredAt = performance.now();
    this.#tookMs = this.#measuredAt - startedAt;
  }
}
