import type { ServerResponse } from "node:http";
import { FaasError } from "../../../contract/errors.ts";
import type { UiTopic, UiUpdate } from "../../../contract/ui/stream.ts";
import type { Logger } from "../../../kit/log.ts";

/** What there is to tell of a topic now: rows by key, or why there are none. */
export interface TopicRows {
  readonly rows: Readonly<Record<string, object>>;
  readonly problem?: string | undefined;
}

export interface LiveStreamOptions {
  /** Asked once a second while somebody reads of the topic. */
  readonly topics: { readonly [T in UiTopic]: () => TopicRows | Promise<TopicRows> };
  readonly maxReaders: number;
  readonly log: Pick<Logger, "warn">;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly everyMs?: number;
}

/** What was told of a topic last: each row as text, to tell nothing twice. */
interface Told {
  readonly rows: Map<string, string>;
  problem: string | undefined;
}

interface Reader {
  readonly res: ServerResponse;
  readonly topics: readonly UiTopic[];
  /** Whether it may still read. */
  readonly holds: () => boolean;
  /** It reads slower than things change: it gets all of it anew once it has caught up. */
  isBehind: boolean;
  /** Looks in a row at which it had not caught up. */
  missed: number;
}

const EVERY_MS = 1_000;
const BEAT_EVERY = 15;
/** A reader that takes nothing for so many looks is gone. */
const MAX_MISSED = 60;

/** Tells what goes on to those who look. Nothing is asked or computed while nobody does. */
export class LiveStream {
  readonly #options: LiveStreamOptions;
  readonly #readers = new Set<Reader>();
  readonly #told = new Map<UiTopic, Told>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #looks = 0;
  #closed = false;

  constructor(options: LiveStreamOptions) {
    this.#options = options;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /**
   * Answers with all that is known of the topics, then with what changes.
   * @param holds whether who reads may go on; the stream ends when not, and has to be asked for again
   * @throws {FaasError} `overloaded` when too many read already, `unavailable` when the gateway stops
   */
  add(res: ServerResponse, topics: readonly UiTopic[], holds: () => boolean = () => true): void {
    const { maxReaders, everyMs = EVERY_MS } = this.#options;
    if (this.#closed) throw new FaasError("unavailable", "the gateway is stopping", { code: "stopping" });
    if (this.#readers.size >= maxReaders) {
      throw new FaasError("overloaded", `more than ${maxReaders} follow the dashboard already`);
    }
    const reader: Reader = { res, topics, holds, isBehind: true, missed: 0 };
    this.#readers.add(reader);
    res.writeHead(200, {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-store",
      "X-Accel-Buffering": "no",
    });
    res.write("retry: 3000\n\n");
    res.once("close", () => {
      this.#readers.delete(reader);
      if (this.#readers.size === 0) this.#pause();
    });
    this.#timer ??= setInterval(() => void this.look(), everyMs);
    void this.look();
  }

  close(): void {
    this.#closed = true;
    this.#pause();
    for (const { res } of this.#readers) res.end();
  }

  #pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#told.clear();
  }

  /** Looks once, and tells everybody what has changed. Called by its own timer. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const wanted = new Set([...this.#readers].flatMap(({ topics }) => topics));
      const patches = new Map<UiTopic, string>();
      for (const topic of wanted) {
        const patch = await this.#lookAt(topic);
        if (patch !== undefined) patches.set(topic, patch);
      }
      const isBeat = ++this.#looks % BEAT_EVERY === 0;
      for (const reader of this.#readers) this.#tell(reader, patches, isBeat);
    } finally {
      this.#looking = false;
    }
  }

  /** @returns what has changed, to be sent; undefined when nothing has */
  async #lookAt(topic: UiTopic): Promise<string | undefined> {
    const { topics, log } = this.#options;
    let found: TopicRows;
    try {
      found = await topics[topic]();
    } catch (err) {
      log.warn({ err, topic }, "cannot tell the dashboard what goes on");
      found = { rows: {}, problem: err instanceof FaasError ? err.message : "cannot be told just now" };
    }
    const known = this.#told.get(topic) ?? { rows: new Map<string, string>(), problem: undefined };
    this.#told.set(topic, known);
    const rows: Record<string, object> = {};
    for (const [key, row] of Object.entries(found.rows)) {
      const text = JSON.stringify(row);
      if (known.rows.get(key) === text) continue;
      known.rows.set(key, text);
      rows[key] = row;
    }
    const gone = [...known.rows.keys()].filter((key) => !Object.hasOwn(found.rows, key));
    for (const key of gone) known.rows.delete(key);
    const isSame = Object.keys(rows).length === 0 && gone.length === 0 && known.problem === found.problem;
    known.problem = found.problem;
    return isSame ? undefined : event("patch", this.#update(topic, rows, gone));
  }

  #update(topic: UiTopic, rows: object, gone: readonly string[]): UiUpdate {
    const problem = this.#told.get(topic)?.problem;
    const now = (this.#options.now ?? Date.now)();
    return { topic, rows, gone, now, ...(problem !== undefined && { problem }) } as UiUpdate;
  }

  #tell(reader: Reader, patches: ReadonlyMap<UiTopic, string>, isBeat: boolean): void {
    const { res, topics, holds } = reader;
    if (res.destroyed || res.writableEnded) return;
    if (!holds()) {
      res.end();
      return;
    }
    if (res.writableNeedDrain) {
      const isNews = topics.some((topic) => patches.has(topic));
      reader.isBehind ||= isNews;
      if (++reader.missed >= MAX_MISSED) res.destroy();
      return;
    }
    const caughtUp = reader.isBehind;
    if (caughtUp && reader.missed > 0) res.write("event: gap\ndata:\n\n");
    reader.missed = 0;
    reader.isBehind = false;
    for (const topic of topics) {
      if (caughtUp) res.write(event("snapshot", this.#snapshot(topic)));
      else if (patches.has(topic)) res.write(patches.get(topic) as string);
    }
    if (isBeat) res.write(": alive\n\n");
  }

  #snapshot(topic: UiTopic): UiUpdate {
    const rows = [...(this.#told.get(topic)?.rows ?? [])].map(([key, text]) => [key, JSON.parse(text) as object]);
    return this.#update(topic, Object.fromEntries(rows), []);
  }
}

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
