import { closeSync, readSync } from "node:fs";
import type { Readable } from "node:stream";
import { closed, readPipe } from "../../pipes.ts";
import type { TakenOutput } from "./launch.ts";

/** A pipe holds no more unless it is asked to. */
const PIPE_BYTES = 64 * 1024;
const scratch = Buffer.allocUnsafeSlow(PIPE_BYTES);

/**
 * What a process prints into a pipe: taken at once when it is all there, which takes few calls of the system and no stream,
 * or read as a stream.
 */
export class PipeOutput {
  /** Resolves when nothing more will be read. */
  readonly closed: Promise<void>;
  readonly #close: () => void;
  readonly #fd: number;
  #stream: Readable | undefined;
  #isClosed = false;

  /** @param fd that does not block */
  constructor(fd: number) {
    this.#fd = fd;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#close = resolve;
  }

  get stream(): Readable {
    if (this.#stream === undefined) {
      if (this.#isClosed) throw new Error("the output has been taken");
      this.#stream = readPipe(this.#fd);
      void closed(this.#stream).then(this.#close);
    }
    return this.#stream;
  }

  /** Takes all of it if its writers have gone. */
  take(limitBytes: number): TakenOutput {
    if (this.#stream !== undefined || this.#isClosed) return "streamed";
    const chunks: Buffer[] = [];
    for (let bytes = 0; bytes <= limitBytes; ) {
      const read = this.#readNow();
      if (read === undefined) break;
      if (read === 0) {
        this.destroy();
        return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      }
      chunks.push(Buffer.from(scratch.subarray(0, read)));
      bytes += read;
    }
    if (chunks.length === 0) return "nothing";
    this.stream.unshift(Buffer.concat(chunks));
    return "streamed";
  }

  /** @returns undefined when there is nothing yet */
  #readNow(): number | undefined {
    try {
      return readSync(this.#fd, scratch);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
      throw error;
    }
  }

  destroy(): void {
    if (this.#stream !== undefined) {
      this.#stream.destroy();
    } else if (!this.#isClosed) {
      this.#isClosed = true;
      closeSync(this.#fd);
      this.#close();
    }
  }
}
