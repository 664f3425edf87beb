import { write, writeSync } from "node:fs";

/** File descriptor of standard output. */
export const STDOUT = 1;

/** Lines that wait for a slow reader; more are lost. */
const MAX_WAITING_BYTES = 1024 ** 2;
/** Before a reader that could take nothing is tried again. */
const RETRY_MS = 100;
/** At the end of the process nobody waits for a reader for longer than so many times. */
const LAST_TRIES = 10;

/**
 * Writes lines to a file descriptor without ever holding up who writes them, nor the end of the process. What cannot be
 * written, as the disk is full or the reader gone, is lost: to log must not be what ends a process, or keeps it from
 * ending.
 */
export class LogOutput {
  readonly #fd: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** What is being written. */
  #current = Buffer.alloc(0);
  #writing = false;
  #used = false;
  #failedLines = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Lines that were not written because writing failed, as on a full disk. */
  get failedLines(): number {
    return this.#failedLines;
  }

  write(line: string): void {
    this.#add(line, MAX_WAITING_BYTES);
  }

  /**
   * Takes whole lines that others matter more than: only while at most half of the room is used.
   * @returns whether it did
   */
  offer(lines: string): boolean {
    return this.#add(lines, MAX_WAITING_BYTES / 2);
  }

  #add(lines: string, maxBytes: number): boolean {
    if (!this.#used) process.once("exit", () => this.#finish());
    this.#used = true;
    const bytes = Buffer.from(lines);
    if (this.#waitingBytes + bytes.length > maxBytes) return false;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#writing) this.#next();
    return true;
  }

  /** Writes what is left, as far as that works at once. */
  #finish(): void {
    let rest = this.#writing ? this.#gather() : Buffer.concat([this.#current, this.#gather()]);
    for (let tries = 0; rest.length > 0 && tries < LAST_TRIES; ) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest));
      } catch (error) {
        if (!isBusy(error)) return;
        tries += 1;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS / LAST_TRIES);
      }
    }
  }

  #gather(): Buffer<ArrayBuffer> {
    const all = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    return all;
  }

  #next(): void {
    if (this.#current.length === 0) this.#current = this.#gather();
    if (this.#current.length === 0) return;
    this.#writing = true;
    write(this.#fd, this.#current, (error, written) => {
      this.#writing = false;
      if (error && isBusy(error)) {
        setTimeout(() => !this.#writing && this.#next(), RETRY_MS).unref();
        return;
      }
      if (error) this.#failedLines += countLines(this.#current);
      this.#current = error ? Buffer.alloc(0) : this.#current.subarray(written);
      this.#next();
    });
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (const byte of bytes) if (byte === LINE_FEED) lines++;
  return lines;
}

const LINE_FEED = 10;

function isBusy(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EAGAIN" || code === "EBUSY";
}
