import { type FileHandle, open, rm } from "node:fs/promises";
import { LogLineSplitter } from "./line-splitter.ts";
import { segmentFile } from "./segments.ts";

/** Output that a replica may write at once and, after that, per second; the rest is counted and dropped. */
const BURST_BYTES = 4 * 1024 * 1024;
const SUSTAINED_BYTES_PER_S = 1024 * 1024;
/** What a line costs besides its bytes, so that a flood of empty lines is one too. */
const LINE_COST_BYTES = 128;
/** Latest lines kept at hand, and how much of each, to tell why a replica ended. */
const RECENT_LINES = 20;
const RECENT_LINE_BYTES = 512;
/** Lines waiting for the disk; more are dropped rather than kept in memory. */
const MAX_PENDING_BYTES = 2 * BURST_BYTES;

export interface ReplicaLogOptions {
  readonly folder: string;
  readonly instance: string;
  /** Of both files of the replica together. */
  readonly limitBytes: number;
  readonly now: () => number;
  /** After lines have reached the file. */
  readonly onWritten: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Keeps what a replica writes as lines `<RFC 3339> <text>`. A flood costs neither memory nor disk: the pipe is always
 * read, so the function never waits for us, but only so many bytes a second are looked at.
 */
export class ReplicaLog {
  readonly #options: ReplicaLogOptions;
  readonly #splitters = new Set<LogLineSplitter>();
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #segment = 0;
  #segmentBytes = 0;
  #budget = BURST_BYTES;
  #budgetAt: number;
  #dropped = 0;
  #recent: string[] = [];

  constructor(options: ReplicaLogOptions) {
    this.#options = options;
    this.#budgetAt = options.now();
  }

  /** The beginnings of the latest lines that are not blank, oldest first. */
  get recentLines(): readonly string[] {
    return this.#recent;
  }

  /** A new process writes from here on; what the one before said is no news about it. */
  forgetRecent(): void {
    this.#recent = [];
  }

  /** Where one stream of output goes; `end` when it is over. */
  input(): { write(chunk: Buffer): void; end(): void } {
    const splitter = new LogLineSplitter((line) => this.#accept(line));
    this.#splitters.add(splitter);
    return {
      write: (chunk) => this.#receive(splitter, chunk),
      end: () => {
        splitter.flush();
        this.#splitters.delete(splitter);
        this.#reportDropped();
      },
    };
  }

  /** Resolves when everything accepted is in the file, which is closed then. */
  async close(): Promise<void> {
    for (const splitter of this.#splitters) splitter.flush();
    await this.#writing;
    this.#reportDropped();
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  #receive(splitter: LogLineSplitter, chunk: Buffer): void {
    const now = this.#options.now();
    const earned = (Math.max(0, now - this.#budgetAt) / 1000) * SUSTAINED_BYTES_PER_S;
    this.#budget = Math.min(BURST_BYTES, this.#budget + earned);
    this.#budgetAt = now;
    if (this.#budget < chunk.length) {
      splitter.gap();
      this.#dropped += chunk.length;
      return;
    }
    this.#budget -= chunk.length;
    this.#reportDropped();
    splitter.push(chunk);
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    const note = `[faaslane] ${this.#dropped} bytes of output were dropped: they came faster than a log is kept`;
    this.#dropped = 0;
    this.#store(Buffer.from(note));
  }

  #accept(line: Buffer): void {
    this.#budget -= LINE_COST_BYTES;
    if (line.length > 0) {
      if (this.#recent.length === RECENT_LINES) this.#recent.shift();
      this.#recent.push(line.toString("utf8", 0, RECENT_LINE_BYTES));
    }
    this.#store(line);
  }

  #store(line: Buffer): void {
    if (this.#pendingBytes > MAX_PENDING_BYTES) {
      this.#dropped += line.length;
      return;
    }
    const stamp = `${new Date(this.#options.now()).toISOString()} `;
    const record = Buffer.allocUnsafe(stamp.length + line.length + 1);
    record.write(stamp, 0, "latin1");
    line.copy(record, stamp.length);
    record[record.length - 1] = 0x0a;
    this.#pending.push(record);
    this.#pendingBytes += record.length + LINE_COST_BYTES;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    // Lines of one tick go to the file together.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const records = this.#takeBatch();
      try {
        await (await this.#currentFile()).appendFile(Buffer.concat(records));
        this.#options.onWritten();
      } catch (error) {
        // A full disk loses log lines; it must not stop the function.
        this.#options.onError(error);
      }
    }
  }

  /** As many records as fit the current file, at least one; turns to a new file when it is full. */
  #takeBatch(): Buffer[] {
    const limit = this.#options.limitBytes / 2;
    const first = this.#pending[0] as Buffer;
    if (this.#segmentBytes > 0 && this.#segmentBytes + first.length > limit) {
      this.#segment += 1;
      this.#segmentBytes = 0;
    }
    let count = 0;
    let bytes = 0;
    for (const record of this.#pending) {
      if (count > 0 && this.#segmentBytes + bytes + record.length > limit) break;
      bytes += record.length;
      count += 1;
    }
    this.#segmentBytes += bytes;
    this.#pendingBytes -= bytes + count * LINE_COST_BYTES;
    return this.#pending.splice(0, count);
  }

  #opened = -1;
  async #currentFile(): Promise<FileHandle> {
    const { folder, instance } = this.#options;
    if (this.#file && this.#opened === this.#segment) return this.#file;
    await this.#file?.close();
    this.#file = undefined;
    this.#file = await open(segmentFile(folder, instance, this.#segment), "a", 0o600);
    this.#opened = this.#segment;
    await rm(segmentFile(folder, instance, this.#segment - 2), { force: true });
    return this.#file;
  }
}
