/** A line of a container's output. */
export interface LogLine {
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly text: string;
}

export interface LogQuery {
  readonly follow: boolean;
  /** Only lines from then on, in milliseconds since the epoch. */
  readonly sinceMs: number;
  /** The last lines only; undefined for all. */
  readonly tail: number | undefined;
  readonly timestamps: boolean;
  readonly limitBytes: number;
}

const LINES_LIMIT = 10_000;
/** What of its output a container's termination message may be. */
const MESSAGE_LINES = 80;
const MESSAGE_BYTES = 2048;

/** The output of one run of a container. */
export class ContainerLog {
  #lines: LogLine[] = [];
  #ended = false;
  readonly #readers = new Set<{ line(line: LogLine): void; end(): void }>();

  append(line: LogLine): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_LIMIT * 2) this.#lines = this.#lines.slice(-LINES_LIMIT);
    for (const reader of this.#readers) reader.line(line);
  }

  end(): void {
    this.#ended = true;
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
  }

  /** The end of the output, as `FallbackToLogsOnError` puts it into the status of a container. */
  terminationMessage(): string {
    const text = this.#lines.slice(-MESSAGE_LINES).map((line) => `${line.text}\n`);
    return Buffer.from(text.join("")).subarray(-MESSAGE_BYTES).toString();
  }

  /** Gives what there is and, following, what comes, until the container or the reader ends. Returns the way to stop. */
  read(query: LogQuery, write: (text: string) => void, done: () => void): () => void {
    let left = query.limitBytes;
    const reader = {
      line: (line: LogLine) => {
        if (line.timeMs < query.sinceMs || left <= 0) return;
        const text = `${query.timestamps ? `${nanoseconds(line.timeMs)} ` : ""}${line.text}\n`.slice(0, left);
        left -= text.length;
        write(text);
      },
      end: done,
    };
    const since = this.#lines.filter((line) => line.timeMs >= query.sinceMs);
    for (const line of query.tail === undefined ? since : since.slice(Math.max(0, since.length - query.tail))) {
      reader.line(line);
    }
    if (!query.follow || this.#ended) {
      done();
      return () => {};
    }
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}

/** As container runtimes write times; the clock gives milliseconds. */
function nanoseconds(timeMs: number): string {
  return new Date(timeMs).toISOString().replace("Z", "000000Z");
}
