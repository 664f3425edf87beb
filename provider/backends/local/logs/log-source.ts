import { type FileHandle, open } from "node:fs/promises";
import type { LogMessage } from "../../../../contract/logs.ts";
import type { Segment } from "./segments.ts";

const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** One line of a log file. */
export type LogLine = Pick<LogMessage, "timestamp" | "text">;

function parseLine(record: string): LogLine {
  const space = record.indexOf(" ");
  return { timestamp: record.slice(0, space), text: `${record.slice(space + 1)}\n` };
}

/** A place in a replica's log: a segment and a number of bytes into it. */
export interface LogPosition {
  readonly segment: number;
  readonly offset: number;
}

/** Reads the log of one replica from its files, a little at a time, while it may still be written. */
export class LogSource {
  readonly instance: string;
  readonly #segments: () => Promise<readonly Segment[]>;
  readonly #end: LogPosition | undefined;
  #at: LogPosition;
  #file: FileHandle | undefined;
  #rest = Buffer.alloc(0);
  #lines: LogLine[] = [];
  #next = 0;

  /**
   * @param segments the replica's files as they are now, oldest first
   * @param end where to stop; without it, wherever the log ends at that time
   */
  constructor(instance: string, segments: () => Promise<readonly Segment[]>, start: LogPosition, end?: LogPosition) {
    this.instance = instance;
    this.#segments = segments;
    this.#at = start;
    this.#end = end;
  }

  /** The next line, without taking it. */
  get head(): LogLine | undefined {
    return this.#lines[this.#next];
  }

  take(): void {
    this.#next += 1;
  }

  /** Reads on unless lines are left. @returns whether there is a line now */
  async fill(): Promise<boolean> {
    if (this.head) return true;
    this.#lines = [];
    this.#next = 0;
    while (this.#lines.length === 0) if (!(await this.#read())) return false;
    return true;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #read(): Promise<boolean> {
    // Looked up before reading, so that a file seen to end while it has a successor has really ended.
    const successor = (await this.#segments()).find(({ number }) => number > this.#at.segment);
    if (await this.#openCurrent()) {
      const bytes = await this.#readBytes();
      if (bytes.length > 0) {
        this.#split(bytes);
        return true;
      }
    }
    if (!successor || (this.#end && successor.number > this.#end.segment)) return false;
    await this.close();
    this.#at = { segment: successor.number, offset: 0 };
    this.#rest = Buffer.alloc(0);
    return true;
  }

  async #openCurrent(): Promise<boolean> {
    if (this.#file) return true;
    const current = (await this.#segments()).find(({ number }) => number === this.#at.segment);
    this.#file = current && (await openIfPresent(current.file));
    return this.#file !== undefined;
  }

  async #readBytes(): Promise<Buffer> {
    const { segment, offset } = this.#at;
    const until = this.#end && this.#end.segment === segment ? this.#end.offset : Number.POSITIVE_INFINITY;
    const length = Math.min(READ_BYTES, until - offset);
    if (length <= 0) return Buffer.alloc(0);
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await (this.#file as FileHandle).read(buffer, 0, length, offset);
    this.#at = { segment, offset: offset + bytesRead };
    return buffer.subarray(0, bytesRead);
  }

  #split(bytes: Buffer): void {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    const last = data.lastIndexOf(NEWLINE);
    this.#rest = Buffer.from(data.subarray(last + 1));
    if (last < 0) return;
    this.#lines = data.toString("utf8", 0, last).split("\n").map(parseLine);
  }
}

/** A file may be rotated away between its listing and a look at it. */
async function openIfPresent(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Where the last `lines` lines begin in `segments`, which end at `end`. */
export async function findTail(segments: readonly Segment[], lines: number, end: LogPosition): Promise<LogPosition> {
  let missing = lines;
  for (const { file, number } of segments.toReversed()) {
    const handle = await openIfPresent(file);
    if (!handle) break;
    try {
      let offset = number === end.segment ? end.offset : (await handle.stat()).size;
      // The newline that ends the last line separates nothing.
      let last = true;
      while (offset > 0) {
        const length = Math.min(READ_BYTES, offset);
        const { buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, offset - length);
        for (let at = length - 1; at >= 0; at -= 1) {
          if (buffer[at] !== NEWLINE) continue;
          if (last) last = false;
          else missing -= 1;
          if (missing === 0) return { segment: number, offset: offset - length + at + 1 };
        }
        offset -= length;
      }
      // The first line of a file has no newline before it.
      if (!last) missing -= 1;
      if (missing === 0) return { segment: number, offset: 0 };
    } finally {
      await handle.close();
    }
  }
  return { segment: segments[0]?.number ?? 0, offset: 0 };
}
