import { type FileHandle, open } from "node:fs/promises";
import { isAbsent, mark, place, remove, renew, syncNames } from "./files.ts";
import type { RegistryLayout } from "./layout.ts";
import { RegistryFailure } from "./registry-failure.ts";

/** A blob to read, which stays readable while it is open. Whoever opens it closes it. */
export interface OpenBlob {
  readonly file: FileHandle;
  readonly size: number;
}

/** Content by its digest, and which repositories have it. */
export class BlobStore {
  readonly #layout: RegistryLayout;

  constructor(layout: RegistryLayout) {
    this.#layout = layout;
  }

  /**
   * Whether a repository has a blob, which then stays for as long as who asked may need to name it in a manifest.
   */
  hold(repository: string, digest: string): boolean {
    return renew(this.#layout.link(repository, digest)) && renew(this.#layout.blob(digest));
  }

  /** @throws {RegistryFailure} `BLOB_UNKNOWN` */
  async open(repository: string, digest: string): Promise<OpenBlob> {
    if (!this.hold(repository, digest)) throw unknownBlob(repository);
    return await this.openContent(digest).catch((error: unknown) => {
      throw isAbsent(error) ? unknownBlob(repository) : error;
    });
  }

  /** Whatever repository has it. */
  async openContent(digest: string): Promise<OpenBlob> {
    const file = await open(this.#layout.blob(digest), "r");
    try {
      return { file, size: (await file.stat()).size };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Takes a finished file, on the disk already, whose digest has been checked. */
  async adopt(draft: string, repository: string, digest: string): Promise<void> {
    const path = this.#layout.blob(digest);
    place(draft, path);
    mark(this.#layout.link(repository, digest));
    await syncNames(path);
  }

  /** The content alone, as of a manifest. */
  async adoptContent(draft: string, digest: string): Promise<void> {
    const path = this.#layout.blob(digest);
    place(draft, path);
    await syncNames(path);
  }

  /** @returns false when `from` does not have it */
  mount(from: string, to: string, digest: string): boolean {
    if (!this.hold(from, digest)) return false;
    mark(this.#layout.link(to, digest));
    return true;
  }

  /** Takes a blob from a repository; the collector removes the content when nobody else has it. @throws {RegistryFailure} */
  remove(repository: string, digest: string): void {
    if (!remove(this.#layout.link(repository, digest))) throw unknownBlob(repository);
  }
}

function unknownBlob(repository: string): RegistryFailure {
  return new RegistryFailure("BLOB_UNKNOWN", `${repository} has no such blob`);
}
