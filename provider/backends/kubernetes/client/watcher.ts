import { FaasError } from "../../../../contract/errors.ts";
import type { Logger } from "../../../../kit/log.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { ApiError, hasStatus, readApiError } from "./api-error.ts";
import type { KubernetesClient } from "./kubernetes-client.ts";
import { readLines } from "./lines.ts";

/** What all objects have. */
export interface Identified {
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly resourceVersion?: string };
}

/** Where a watcher tells what it sees. */
export interface WatchSink<T> {
  /** All there is, when the past is unknown. */
  replace(objects: readonly T[]): void;
  put(object: T): void;
  remove(object: T): void;
  /** There is nothing to be seen now, and it is looked again later. Where absent, the same as all that there is being nothing. */
  unseen?(why: UnseenReason): void;
}

/** The cluster has no such kind; or we are not permitted to see it. */
export type UnseenReason = "absent" | "refused";

/** Tells when a sink was filled for the first time. */
export function telling<T>(sink: WatchSink<T>): { readonly sink: WatchSink<T>; readonly filled: Promise<void> } {
  const { promise: filled, resolve } = Promise.withResolvers<void>();
  return {
    filled,
    sink: {
      put: (object) => sink.put(object),
      remove: (object) => sink.remove(object),
      replace: (objects) => {
        sink.replace(objects);
        resolve();
      },
      ...(sink.unseen && {
        unseen: (why) => {
          sink.unseen?.(why);
          resolve();
        },
      }),
    },
  };
}

export interface WatcherOptions<T, R = T> {
  readonly client: Pick<KubernetesClient, "get" | "stream">;
  /** Of the collection, as `/api/v1/pods`. */
  readonly path: string;
  readonly labelSelector?: string;
  /** Takes away what nobody needs, before it is kept. */
  trim(object: T): R;
  readonly sink: WatchSink<R>;
  readonly log: Logger;
  /** The kind may not be installed, which is no fault: there is nothing of it then, and it is asked for this often. */
  readonly absentMs?: number;
  /** It may not be permitted, which is told but keeps nobody waiting: what is there is not seen then, and it is asked for this often. */
  readonly refusedMs?: number;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

interface Page<T> {
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
  readonly items?: readonly T[];
}

interface WatchLine {
  readonly type?: string;
  readonly object?: Identified & { readonly code?: number };
}

const PAGE_SIZE = 500;
/** The API server ends a watch after this long; a silent one for longer is dead. */
const WATCH_SECONDS = 240;
const SILENCE_MS = (WATCH_SECONDS + 20) * 1000;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 10_000;
/** A watch that lasted this long was sound. */
const SOUND_MS = 5_000;
const MAX_LINE_CHARS = 16 * 1024 ** 2;

/** @returns milliseconds; half of it is chance, so that providers do not come back all at once */
export function decidePause(failures: number, random: number): number {
  const longest = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 20));
  return longest / 2 + (longest / 2) * random;
}

/** Keeps a cache of one kind of object up to date until `signal` aborts, whatever the API server does meanwhile. */
export async function watchObjects<T extends Identified, R = T>(
  options: WatcherOptions<T, R>,
  signal: AbortSignal,
): Promise<void> {
  const { log, path, random = Math.random } = options;
  let version: string | undefined;
  let failures = 0;
  let lacking: string | undefined;
  let listed = false;
  while (!signal.aborted) {
    let accepted = false;
    let askedMs = 0;
    const since = performance.now();
    // Watches that are cut again and again are resumed without much of a pause: nothing is wrong with the API server.
    const next = () =>
      performance.now() - since >= SOUND_MS ? 0 : accepted ? Math.min(failures + 1, 3) : failures + 1;
    try {
      version ??= await listAll(options, signal);
      [lacking, listed] = [undefined, true];
      for await (const seen of follow(options, version, signal)) {
        version = seen;
        accepted = true;
      }
      failures = next();
    } catch (err) {
      if (signal.aborted) return;
      const none = whyNone(err, options, listed);
      if (none) {
        tellNone(options, none, lacking !== none.why);
        [lacking, version, failures] = [none.why, undefined, 0];
        await sleep(none.againMs, signal);
        continue;
      }
      if (isExpired(err)) version = undefined;
      askedMs = askedPause(err);
      failures = Math.max(1, next());
      log.warn({ err, path, failures }, "watch lost");
    }
    const pauseMs = failures > 0 ? decidePause(failures - 1, random()) : 0;
    if (pauseMs > 0 || askedMs > 0) await sleep(Math.max(pauseMs, askedMs), signal);
  }
}

interface None {
  readonly unseen: UnseenReason;
  readonly why: string;
  readonly level: "info" | "warn";
  readonly cause: { readonly err?: unknown };
  /** There is nothing, or nothing was ever seen; what was seen of something that is there counts until more is known. */
  readonly isEmpty: boolean;
  readonly againMs: number;
}

function tellNone<T, R>({ sink, path, log }: WatcherOptions<T, R>, none: None, isNews: boolean): void {
  if (sink.unseen) {
    sink.unseen(none.unseen);
    return;
  }
  if (isNews) log[none.level]({ path, ...none.cause }, none.why);
  if (none.isEmpty) sink.replace([]);
}

/** Why there is nothing to be seen, where that is no fault. */
function whyNone(
  err: unknown,
  { absentMs, refusedMs }: Pick<WatcherOptions<never>, "absentMs" | "refusedMs">,
  listed: boolean,
): None | undefined {
  if (absentMs !== undefined && hasStatus(err, 404)) {
    const why = "cluster does not have this kind of object";
    return { unseen: "absent", why, level: "info", cause: {}, isEmpty: true, againMs: absentMs };
  }
  if (refusedMs !== undefined && hasStatus(err, 403)) {
    const why = "not permitted to watch this kind of object";
    return { unseen: "refused", why, level: "warn", cause: { err }, isEmpty: !listed, againMs: refusedMs };
  }
  return undefined;
}

/** How long the API server wants to be left alone, in milliseconds. */
function askedPause(error: unknown): number {
  return error instanceof ApiError ? Math.min(error.retryAfterMs ?? 0, MAX_PAUSE_MS) : 0;
}

function isExpired(error: unknown): boolean {
  // Resource versions that are unknown to a restored API server are refused with 400.
  return error instanceof ApiError && (error.status === 410 || error.status === 400);
}

async function listAll<T extends Identified, R>(
  { client, path, labelSelector, trim, sink }: WatcherOptions<T, R>,
  signal: AbortSignal,
): Promise<string> {
  const objects: R[] = [];
  let next: string | undefined;
  for (;;) {
    const query = { limit: PAGE_SIZE, labelSelector, continue: next };
    const page = await client.get<Page<T>>(path, query, signal);
    for (const object of page.items ?? []) objects.push(trim(object));
    next = page.metadata?.continue || undefined;
    if (next) continue;
    sink.replace(objects);
    return page.metadata?.resourceVersion ?? "";
  }
}

/** Resource versions that were reached. */
async function* follow<T extends Identified, R>(
  { client, path, labelSelector, trim, sink }: WatcherOptions<T, R>,
  resourceVersion: string,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const query = {
    watch: true,
    allowWatchBookmarks: true,
    resourceVersion,
    labelSelector,
    timeoutSeconds: WATCH_SECONDS,
  };
  const response = await client.stream(path, query, signal);
  yield resourceVersion;
  response.setTimeout(SILENCE_MS, () => response.destroy(new Error("the watch is silent")));
  try {
    for await (const line of readLines(response, { limitChars: MAX_LINE_CHARS, whole: true })) {
      const { type, object = {} } = decodeLine(line);
      if (type === "ERROR") throw readApiError(object.code ?? 500, JSON.stringify(object));
      if (type === "ADDED" || type === "MODIFIED") sink.put(trim(object as T));
      else if (type === "DELETED") sink.remove(trim(object as T));
      const reached = object.metadata?.resourceVersion;
      if (reached) yield reached;
    }
  } finally {
    response.destroy();
  }
}

function decodeLine(line: string): WatchLine {
  try {
    return JSON.parse(line) as WatchLine;
  } catch (cause) {
    throw new FaasError("unavailable", "the watch has a line that is not JSON", { cause });
  }
}
