import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";

export interface ResultLimits {
  /** Up to here a result stays in memory; larger ones lie in a file. */
  readonly memoryBytes: number;
  /** Larger results are not kept. */
  readonly maxBytes: number;
  /** For the files. They are removed while open, so that not even a crash leaves one behind. */
  readonly folder: string;
}

/** A response body that may be sent several times. */
export interface StoredAnswer {
  readonly bytes: number;
  /** Why there is none although one came. */
  readonly omitted?: string;
  body(): Buffer | Readable;
  /** Frees what it holds; may be called twice. */
  discard(): Promise<void>;
}

export const NO_RESULT: StoredAnswer = { bytes: 0, body: () => Buffer.alloc(0), discard: async () => {} };

/** The whole of a kept result, in memory. */
export async function readResult(result: Pick<StoredAnswer, "bytes" | "body">): Promise<Buffer> {
  const body = result.body();
  if (Buffer.isBuffer(body)) return body;
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks, result.bytes);
}

/** Takes a body piece by piece. */
export class AnswerBuffer {
  readonly #limits: ResultLimits;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #file: FileHandle | undefined;
  #omitted: string | undefined;

  constructor(limits: ResultLimits) {
    this.#limits = limits;
  }

  /** @returns when the next piece may come, if not at once; it must not come, nor the end, before */
  add(chunk: Buffer): Promise<void> | undefined {
    if (this.#omitted !== undefined) return undefined;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limits.maxBytes) return this.#omit(`larger than ${this.#limits.maxBytes} bytes`);
    if (this.#file || this.#bytes > this.#limits.memoryBytes) return this.#store(chunk);
    this.#chunks.push(chunk);
    return undefined;
  }

  async #store(chunk: Buffer): Promise<void> {
    try {
      this.#file ??= await openNameless(this.#limits.folder);
      for (const part of [...this.#chunks, chunk]) await this.#file.writeFile(part);
      this.#chunks = [];
    } catch (error) {
      await this.#omit(`it could not be stored (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
    }
  }

  finish(): StoredAnswer {
    const discard = () => this.discard();
    if (this.#omitted !== undefined) return { ...NO_RESULT, omitted: this.#omitted };
    const file = this.#file;
    const bytes = this.#bytes;
    if (file) return { bytes, body: () => Readable.from(readAll(file, bytes), { objectMode: false }), discard };
    const whole = Buffer.concat(this.#chunks);
    return { bytes: whole.length, body: () => whole, discard };
  }

  async discard(): Promise<void> {
    this.#chunks = [];
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #omit(why: string): Promise<void> {
    this.#omitted = why;
    await this.discard();
  }
}

const PIECE_BYTES = 64 * 1024;

async function* readAll(file: FileHandle, bytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes; ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, at);
    if (bytesRead === 0) throw new Error("the stored result is shorter than it was");
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function openNameless(folder: string): Promise<FileHandle> {
  const path = join(folder, `faaslane-result-${randomUUID()}`);
  const file = await open(path, "wx+", 0o600);
  await unlink(path);
  return file;
}
