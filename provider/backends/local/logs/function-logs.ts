import { stat } from "node:fs/promises";
import type { LogMessage, LogQuery } from "../../../../contract/logs.ts";
import { Notifier } from "../../notifier.ts";
import { ensureFolder, removeTree } from "../files.ts";
import { findTail, type LogPosition, LogSource } from "./log-source.ts";
import { ReplicaLog } from "./replica-log.ts";
import { listSegments, type Segment } from "./segments.ts";

/** Logs of replicas that are gone, per function; the bytes they may keep are those of one replica. */
const MAX_ENDED_REPLICAS = 20;

export interface FunctionLogsOptions {
  readonly folder: string;
  /** Per replica. */
  readonly limitBytes: number;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** The logs of one function: a folder with the files of its replicas, those gone included. */
export class FunctionLogs {
  readonly #options: FunctionLogsOptions;
  readonly #live = new Map<string, ReplicaLog>();
  readonly #changes = new Notifier();
  readonly #ended = new AbortController();
  #ready: Promise<void> | undefined;

  constructor(options: FunctionLogsOptions) {
    this.#options = options;
  }

  /** Has to resolve before a replica writes. */
  prepare(): Promise<void> {
    this.#ready ??= ensureFolder(this.#options.folder).catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  /** A log for a new replica. */
  open(instance: string): ReplicaLog {
    const { folder, limitBytes, now, onError } = this.#options;
    const onWritten = () => this.#changes.notify();
    const log = new ReplicaLog({ folder, instance, limitBytes, now, onWritten, onError });
    this.#live.set(instance, log);
    return log;
  }

  /** The replica is gone: its log stays, within the limits of the function. */
  async close(instance: string): Promise<void> {
    await this.#live.get(instance)?.close();
    this.#live.delete(instance);
    await this.prune();
  }

  /** Removes the oldest logs of replicas that are gone until the rest fits. */
  async prune(): Promise<void> {
    const gone = [...(await listSegments(this.#options.folder))].filter(([instance]) => !this.#live.has(instance));
    const logs = await Promise.all(
      gone.map(async ([, segments]) => {
        const stats = await Promise.all(segments.map(({ file }) => statIfPresent(file)));
        const bytes = stats.reduce((sum, found) => sum + (found?.size ?? 0), 0);
        return { segments, bytes, writtenAt: Math.max(...stats.map((found) => found?.mtimeMs ?? 0)) };
      }),
    );
    logs.sort((a, b) => b.writtenAt - a.writtenAt);
    let bytes = 0;
    const surplus = logs.filter((log, index) => {
      bytes += log.bytes;
      return index >= MAX_ENDED_REPLICAS || bytes > this.#options.limitBytes;
    });
    await Promise.all(surplus.flatMap(({ segments }) => segments.map(({ file }) => removeTree(file))));
  }

  /** Ends all who follow; nothing may be written any more. */
  end(): void {
    this.#ended.abort();
  }

  /** Lines of all replicas by time, see `Backend.logs`. */
  async *read(query: LogQuery, reader: AbortSignal): AsyncGenerator<LogMessage> {
    const signal = AbortSignal.any([reader, this.#ended.signal]);
    const sources = new Map<string, LogSource>();
    try {
      let seen = -1;
      while (!signal.aborted) {
        const seenNow = this.#changes.version;
        if (seenNow !== seen) await this.#findSources(query, sources, seen < 0);
        seen = seenNow;
        yield* mergeLines(query, sources, signal);
        if (!query.follow) return;
        // A replica that is gone writes no more; its file need not stay open for as long as somebody follows.
        for (const source of sources.values()) if (!this.#live.has(source.instance)) await source.close();
        await this.#changes.after(seen, signal);
      }
    } finally {
      await Promise.all([...sources.values()].map((source) => source.close()));
    }
  }

  /** Adds the replicas not known yet; `tail` is about what was there when the reader came. */
  async #findSources(query: LogQuery, sources: Map<string, LogSource>, first: boolean): Promise<void> {
    for (const [instance, segments] of await listSegments(this.#options.folder)) {
      if (sources.has(instance) || (query.instance !== undefined && query.instance !== instance)) continue;
      const begin = { segment: segments[0]?.number ?? 0, offset: 0 };
      const list = async () => (await listSegments(this.#options.folder)).get(instance) ?? [];
      const end = await endOf(segments);
      const start = first && query.tail !== undefined ? await findTail(segments, query.tail, end) : begin;
      // A reader that does not follow must come to an end even while the function goes on writing.
      sources.set(instance, new LogSource(instance, list, start, query.follow ? undefined : end));
    }
  }
}

async function endOf(segments: readonly Segment[]): Promise<LogPosition> {
  const last = segments.at(-1);
  if (!last) return { segment: 0, offset: 0 };
  return { segment: last.number, offset: (await statIfPresent(last.file))?.size ?? 0 };
}

/** A file may be rotated away between its listing and a look at it. */
async function statIfPresent(file: string) {
  try {
    return await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** What `sources` have now, oldest first. */
async function* mergeLines(
  query: LogQuery,
  sources: ReadonlyMap<string, LogSource>,
  signal: AbortSignal,
): AsyncGenerator<LogMessage> {
  const since = query.since?.toISOString() ?? "";
  const active = new Set(sources.values());
  while (!signal.aborted) {
    let oldest: LogSource | undefined;
    for (const source of active) {
      if (!source.head && !(await source.fill())) active.delete(source);
      else if (!oldest || (source.head?.timestamp ?? "") < (oldest.head?.timestamp ?? "")) oldest = source;
    }
    if (!oldest?.head) return;
    const line = oldest.head;
    oldest.take();
    if (line.timestamp >= since)
      yield { name: query.name, namespace: query.namespace, instance: oldest.instance, ...line };
  }
}
