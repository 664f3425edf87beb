import { mkdir, open } from "node:fs/promises";

/** As many as the threads that Node has for files. */
const AT_A_TIME = 4;

/** Writes small files a few at a time: making one takes far longer than reading it from an archive. */
export class Disk {
  /** Folders that are there. */
  readonly #folders: Set<string>;
  /** By path, so that of two files of one path the later one stays. */
  readonly #writing = new Map<string, Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  /** @param root is there */
  constructor(root: string) {
    this.#folders = new Set([root]);
  }

  /** Makes a folder with those above it. */
  async folder(path: string): Promise<void> {
    if (this.#folders.has(path)) return;
    // One of them may be a file that is still to be written.
    await this.settled();
    await mkdir(path, { recursive: true, mode: 0o755 });
    this.#folders.add(path);
  }

  /**
   * Resolves once there is room for the next one.
   * @param explain makes the error of this file what is thrown
   * @throws what an earlier one has failed with
   */
  async writeSoon(path: string, mode: number, content: Buffer, explain: (error: unknown) => unknown): Promise<void> {
    await this.#writing.get(path);
    const written = writeWhole(path, mode, content)
      .catch((error: unknown) => {
        this.#failure ??= { error: explain(error) };
      })
      .finally(() => this.#writing.delete(path));
    this.#writing.set(path, written);
    if (this.#writing.size >= AT_A_TIME) await Promise.race(this.#writing.values());
    this.#throwFailure();
  }

  /** Resolves once all is written. @throws what one has failed with */
  async settled(): Promise<void> {
    await Promise.all(this.#writing.values());
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

async function writeWhole(path: string, mode: number, content: Buffer): Promise<void> {
  await using file = await open(path, "w", mode);
  await file.chmod(mode);
  await file.writeFile(content);
}
