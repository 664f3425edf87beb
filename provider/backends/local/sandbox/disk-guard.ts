import type { Dirent } from "node:fs";
import { lstat, readdir, statfs } from "node:fs/promises";
import { join } from "node:path";

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
/** Working copies are only measured when so much of the disk has gone since the last time: that means reading them. */
const STEP_BYTES = 64 * 2 ** 20;

/** Finds replicas that fill the disk. Files that are deleted while they are open are not seen. */
export class DiskGuard {
  readonly #options: DiskGuardOptions;
  readonly #watched = new Set<Watched>();
  #freeBytes: number | undefined;
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
    const { folder, limitBytes, onError } = this.#options;
    try {
      const { bavail, bsize } = await statfs(folder);
      const free = bavail * bsize;
      const before = this.#freeBytes ?? free;
      const isMuchLess = free < before - Math.min(STEP_BYTES, limitBytes / 2);
      this.#freeBytes = isMuchLess ? free : Math.max(before, free);
      if (isMuchLess) await this.#measure();
    } catch (error) {
      onError(error);
    } finally {
      this.#looking = false;
    }
  }

  async #measure(): Promise<void> {
    const { limitBytes } = this.#options;
    const copies = new Map([...this.#watched].map(({ copy }) => [copy.folder, copy]));
    for (const { folder, artefact } of copies.values()) {
      const most = (await sizeOf(artefact, Number.POSITIVE_INFINITY)) + limitBytes;
      if ((await sizeOf(folder, most)) <= most) continue;
      for (const watched of [...this.#watched]) {
        if (watched.copy.folder === folder && this.#watched.delete(watched)) watched.onExcess();
      }
    }
  }
}

/** What a tree takes on the disk, in bytes, without following links; counting ends once it is more than `enough`. */
async function sizeOf(folder: string, enough: number): Promise<number> {
  const folders = [folder];
  let total = 0;
  for (let next = folders.pop(); next !== undefined && total <= enough; next = folders.pop()) {
    const entries: Dirent[] = await readdir(next, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) folders.push(path);
      // It may have been deleted meanwhile.
      else total += ((await lstat(path).catch(() => undefined))?.blocks ?? 0) * 512;
    }
  }
  return total;
}
