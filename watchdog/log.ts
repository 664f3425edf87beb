import type { Readable, Writable } from "node:stream";
import { LineSplitter } from "./lines.ts";
import { PacedOutput } from "./paced-output.ts";

export interface LogSettings {
  /** Put date, time and stream name before each line of the function. */
  readonly prefixLogs: boolean;
  readonly logLineBytes: number;
}

/** What the container prints: the function's lines, and the watchdog's own. */
export class Log {
  readonly #settings: LogSettings;
  readonly #stdout: PacedOutput;
  readonly #stderr: PacedOutput;
  #second = 0;
  #timestamp = "";

  constructor(settings: LogSettings, stdout: Writable, stderr: Writable) {
    this.#settings = settings;
    this.#stdout = new PacedOutput(stdout, droppedNotice);
    this.#stderr = new PacedOutput(stderr, droppedNotice);
  }

  /** One line of the watchdog's own. */
  readonly print = (message: string): void => {
    this.#stderr.writeSoon(`${this.#now()} ${message}\n`);
  };

  /** A function's output as is, for settings that ask to see it. */
  copy(bytes: Buffer): void {
    this.flush();
    this.#stdout.write(bytes, 1);
  }

  /** Prints what a function writes, line by line, until its end; the last line need not be complete. */
  forward(source: Readable, name: "stdout" | "stderr"): void {
    const output = name === "stdout" ? this.#stdout : this.#stderr;
    const splitter = new LineSplitter(this.#settings.logLineBytes);
    const print = (lines: readonly Buffer[]) => {
      if (lines.length === 0) return;
      this.flush();
      const prefix = this.#settings.prefixLogs ? Buffer.from(`${this.#now()} ${name}: `) : EMPTY;
      output.write(Buffer.concat(lines.flatMap((line) => [prefix, line, LINE_END])), lines.length);
    };
    source.on("data", (chunk: Buffer) => {
      print(splitter.push(chunk));
      if (!output.behind) return;
      source.pause();
      output.whenReady(() => source.resume());
    });
    source.on("close", () => {
      const rest = splitter.flush();
      if (rest !== undefined) print([rest]);
    });
    source.on("error", (error) => this.print(`Error reading ${name}: ${error.message}`));
  }

  /** Writes what still waits for more: before what comes after it on either stream, and for who has no time to wait. */
  flush(): void {
    this.#stderr.flush();
  }

  /** Lines of one second share their time: to make it takes longer than the line. */
  #now(): string {
    const ms = Date.now();
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#timestamp = timestamp(new Date(ms));
    }
    return this.#timestamp;
  }

  /** Waits, for a moment at most, until everything has left the process. */
  async flushed(): Promise<void> {
    await Promise.all([this.#stdout.flushed(FLUSH_MS), this.#stderr.flushed(FLUSH_MS)]);
  }
}

/** The line that says how many are missing. */
export function droppedNotice(lines: number): string {
  return `${timestamp(new Date())} ${lines} log lines dropped: nobody was reading them`;
}

const EMPTY = Buffer.alloc(0);
const LINE_END = Buffer.from("\n");
const FLUSH_MS = 1000;

/** Local time as OpenFaaS's watchdogs print it: `2026/02/03 04:05:06`. */
export function timestamp(at: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const date = `${at.getFullYear()}/${two(at.getMonth() + 1)}/${two(at.getDate())}`;
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
