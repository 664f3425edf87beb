import type { Writable } from "node:stream";

/** Bytes that may wait for the reader of our log. */
const PENDING_LIMIT_BYTES = 1024 * 1024;

/** How long a function is slowed down to the pace of its log's reader before lines are dropped instead. */
const PATIENCE_MS = 1000;

/** When writing is tried again after it has failed. */
const RETRY_MS = 1000;

/** After a line of the watchdog's own the next ones wait so long for more: a write wakes the log's reader, which costs more than a line. */
const GATHER_MS = 5;
const GATHER_LIMIT_BYTES = 16 * 1024;

/**
 * The watchdog's stdout or stderr. Writes to a pipe are queued in memory, so a reader that lags must slow the function
 * down, and a reader that stopped must cost lines: neither may grow memory nor hang the function for good.
 */
export class PacedOutput {
  readonly #stream: Writable;
  readonly #notice: (droppedLines: number) => string;
  readonly #waiting: (() => void)[] = [];
  #patience: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #dropping = false;
  #droppedLines = 0;
  #gathered = "";
  #gatheredLines = 0;
  #gatherer: NodeJS.Timeout | undefined;

  /** @param notice the line that tells how many lines are missing */
  constructor(stream: Writable, notice: (droppedLines: number) => string) {
    this.#stream = stream;
    this.#notice = notice;
    stream.on("drain", () => this.#caughtUp());
    // A log without a reader is no reason to stop serving; without a listener EPIPE would end the process.
    stream.on("error", () => {
      this.#dropping = true;
      this.#release();
      // A disk that is full is cleaned up some day. Nothing else would tell of it.
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        this.#caughtUp();
      }, RETRY_MS).unref();
    });
  }

  /** @param lineCount how many lines `bytes` is, for the count of what was dropped */
  write(bytes: Buffer, lineCount: number): void {
    this.flush();
    this.#send(bytes, lineCount);
  }

  /** A line that need not be there at once when one has just been written; it stays before what is written later. */
  writeSoon(line: string): void {
    this.#gathered += line;
    this.#gatheredLines++;
    if (this.#gatherer === undefined) this.#writeGathered();
    else if (this.#gathered.length >= GATHER_LIMIT_BYTES) this.flush();
  }

  /** Writes what is gathered. */
  flush(): void {
    const text = this.#gathered;
    const lineCount = this.#gatheredLines;
    this.#gathered = "";
    this.#gatheredLines = 0;
    if (text !== "") this.#send(text, lineCount);
  }

  /** Writes what is gathered, and gathers anew. */
  readonly #writeGathered = (): void => {
    this.#gatherer = this.#gathered === "" ? undefined : setTimeout(this.#writeGathered, GATHER_MS);
    this.flush();
  };

  #send(text: string | Buffer, lineCount: number): void {
    if (this.#dropping) this.#droppedLines += lineCount;
    else this.#stream.write(text);
  }

  /** More is waiting than should; use `whenReady` before reading more. */
  get behind(): boolean {
    return !this.#dropping && this.#stream.writableLength > PENDING_LIMIT_BYTES;
  }

  /** Calls back once the reader has caught up, or has been given up. */
  whenReady(resume: () => void): void {
    this.#waiting.push(resume);
    this.#patience ??= setTimeout(() => {
      this.#dropping = true;
      this.#release();
    }, PATIENCE_MS);
  }

  /** Waits until everything written has left the process, at most `timeoutMs`. */
  flushed(timeoutMs: number): Promise<void> {
    this.flush();
    if (this.#stream.writableLength === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#stream.once("drain", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #caughtUp(): void {
    this.#dropping = false;
    if (this.#droppedLines > 0) {
      this.#stream.write(`${this.#notice(this.#droppedLines)}\n`);
      this.#droppedLines = 0;
    }
    this.#release();
  }

  #release(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

/** Most that may wait of what an in-process handler prints by itself. */
const UNPACED_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * Bounds what waits in a stream that is written to without looking whether it keeps up, as `console.log` does. A handler that
 * prints in a loop cannot be slowed down: the loop leaves no time for the stream to empty.
 */
export function dropExcess(stream: Writable, notice: (droppedLines: number) => string): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  let dropped = 0;
  const bounded = (...args: unknown[]): boolean => {
    if (stream.writableLength <= UNPACED_LIMIT_BYTES) return write(...args);
    dropped++;
    const callback = args.at(-1);
    if (typeof callback === "function") process.nextTick(callback as () => void);
    return false;
  };
  stream.on("drain", () => {
    if (dropped > 0) write(`${notice(dropped)}\n`);
    dropped = 0;
  });
  stream.write = bounded as Writable["write"];
}
