import { createHash, type Hash, randomUUID } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "./blob-store.ts";
import type { RegistryLayout } from "./layout.ts";
import { RegistryFailure } from "./registry-failure.ts";

export interface UploadLimits {
  readonly maxBlobBytes: number;
  /** At a time, those that wait for their next chunk included. */
  readonly maxUploads: number;
  /** Longest wait for the next chunk of an upload, in milliseconds. */
  readonly uploadIdleMs: number;
}

/** A blob on its way. Its digest is computed as its bytes come. */
interface Session {
  readonly id: string;
  readonly repository: string;
  readonly path: string;
  readonly file: FileHandle;
  readonly hash: Hash;
  bytes: number;
  /** Whether a request is under way with it. */
  busy: boolean;
  idle: NodeJS.Timeout | undefined;
}

export interface UploadState {
  readonly id: string;
  readonly bytes: number;
}

/** What a request brings: where its bytes belong, and how many they are, as far as it says. */
export interface Chunk {
  readonly body: AsyncIterable<Uint8Array>;
  readonly from: number | undefined;
  readonly length: number | undefined;
}

/** All uploads of this process: another one knows nothing of them, and clients begin anew. */
export class Uploads {
  readonly #layout: RegistryLayout;
  readonly #blobs: BlobStore;
  readonly #limits: UploadLimits;
  readonly #sessions = new Map<string, Session>();
  #opening = 0;
  #closed = false;

  constructor(layout: RegistryLayout, blobs: BlobStore, limits: UploadLimits) {
    this.#layout = layout;
    this.#blobs = blobs;
    this.#limits = limits;
  }

  get size(): number {
    return this.#sessions.size + this.#opening;
  }

  /** @throws {RegistryFailure} `TOOMANYREQUESTS` */
  async begin(repository: string): Promise<UploadState> {
    if (this.#closed) throw new RegistryFailure("UNAVAILABLE", "the registry is closing");
    if (this.size >= this.#limits.maxUploads) {
      const headers = { "Retry-After": "10" };
      throw new RegistryFailure("TOOMANYREQUESTS", "too many uploads at a time; try again later", { headers });
    }
    this.#opening += 1;
    try {
      const id = randomUUID();
      const path = join(this.#layout.uploads, id);
      const file = await open(path, "wx", 0o600);
      const fresh = { id, repository, path, file, hash: createHash("sha256"), bytes: 0, busy: false, idle: undefined };
      const session: Session = fresh;
      this.#sessions.set(id, session);
      this.#rest(session);
      return session;
    } finally {
      this.#opening -= 1;
    }
  }

  /** @throws {RegistryFailure} `BLOB_UPLOAD_UNKNOWN` */
  state(repository: string, id: string): UploadState {
    return this.#find(repository, id);
  }

  /**
   * Appends what a request brings. When that breaks off, what has come is kept, and the client may go on from there.
   * @throws {RegistryFailure} when it does not belong there, or is too much
   */
  async append(repository: string, id: string, chunk: Chunk): Promise<UploadState> {
    return await this.#use(repository, id, async (session) => {
      await this.#write(session, chunk);
      return session;
    });
  }

  /**
   * Appends the last bytes and makes a blob of all.
   * @throws {RegistryFailure} `DIGEST_INVALID` when they have another digest; the upload is over then too
   */
  async finish(repository: string, id: string, digest: string, chunk: Chunk): Promise<void> {
    await this.#use(repository, id, async (session) => {
      await this.#write(session, chunk);
      if (`sha256:${session.hash.copy().digest("hex")}` !== digest) {
        await this.#end(session);
        throw new RegistryFailure("DIGEST_INVALID", "what was sent has another digest");
      }
      try {
        await session.file.datasync();
        await this.#blobs.adopt(session.path, repository, digest);
      } finally {
        await this.#end(session);
      }
    });
  }

  /** Gives an upload up. @throws {RegistryFailure} `BLOB_UPLOAD_UNKNOWN` */
  async cancel(repository: string, id: string): Promise<void> {
    await this.#use(repository, id, (session) => this.#end(session));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#sessions.values()].map((session) => this.#end(session)));
  }

  #find(repository: string, id: string): Session {
    const session = this.#sessions.get(id);
    if (session?.repository === repository) return session;
    throw new RegistryFailure("BLOB_UPLOAD_UNKNOWN", "there is no such upload; begin anew");
  }

  async #use<T>(repository: string, id: string, act: (session: Session) => Promise<T>): Promise<T> {
    const session = this.#find(repository, id);
    if (session.busy) {
      throw new RegistryFailure("BLOB_UPLOAD_INVALID", "another request with this upload is under way", {
        status: 409,
      });
    }
    session.busy = true;
    clearTimeout(session.idle);
    try {
      return await act(session);
    } finally {
      session.busy = false;
      if (this.#sessions.has(id)) this.#rest(session);
    }
  }

  async #write(session: Session, { body, from, length }: Chunk): Promise<void> {
    const { maxBlobBytes } = this.#limits;
    if (from !== undefined && from !== session.bytes) {
      throw new RegistryFailure("BLOB_UPLOAD_INVALID", `the next byte of this upload is ${session.bytes}`, {
        status: 416,
        headers: { Range: formatRange(session.bytes) },
      });
    }
    if (length !== undefined && session.bytes + length > maxBlobBytes) throw await this.#tooLarge(session);
    let broken: unknown;
    try {
      for await (const bytes of body) {
        if (session.bytes + bytes.length > maxBlobBytes) throw await this.#tooLarge(session);
        const written = session.file.writeFile(bytes).catch((error: unknown) => {
          broken = error;
        });
        session.hash.update(bytes);
        await written;
        if (broken !== undefined) break;
        session.bytes += bytes.length;
      }
    } catch (error) {
      if (error instanceof RegistryFailure) throw error;
      throw new RegistryFailure("BLOB_UPLOAD_INVALID", "the upload broke off", { cause: error });
    }
    if (broken === undefined) return;
    // What is on the disk is not what the digest is of any more.
    await this.#end(session);
    throw broken;
  }

  async #tooLarge(session: Session): Promise<RegistryFailure> {
    await this.#end(session);
    const { maxBlobBytes } = this.#limits;
    return new RegistryFailure("SIZE_INVALID", `a blob may have at most ${maxBlobBytes} bytes`, { status: 413 });
  }

  /** Waits for the next request. */
  #rest(session: Session): void {
    session.idle = setTimeout(() => void this.#end(session), this.#limits.uploadIdleMs);
    session.idle.unref();
  }

  async #end(session: Session): Promise<void> {
    if (!this.#sessions.delete(session.id)) return;
    clearTimeout(session.idle);
    await session.file.close().catch(() => {});
    await rm(session.path, { force: true }); // not there when it has become a blob
  }
}

/** The bytes that an upload has, as its answers say. */
export function formatRange(bytes: number): string {
  return `0-${Math.max(0, bytes - 1)}`;
}
