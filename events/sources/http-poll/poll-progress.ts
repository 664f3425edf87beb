/** How far a source has come that asks again and again. */
export interface PollProgress {
  /** Conditions of the next request: nothing is to be sent that was seen. */
  readonly etag?: string | undefined;
  readonly modified?: string | undefined;
  /** Hashes of the ids that were seen, the newest last. */
  readonly seen?: readonly string[] | undefined;
  /** The last item's field that is sent with the next request. */
  readonly since?: string | undefined;
  /** Of the whole answer, and how often it has changed. */
  readonly hash?: string | undefined;
  readonly changes?: number | undefined;
}

/** So many are remembered beside those of the last answer, which all are. */
const MAX_SEEN = 4_000;
const MAX_CONDITION_CHARS = 1_000;

export function parsePollProgress(text: string | undefined): PollProgress | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("poll" in value)) return undefined;
    return value.poll as PollProgress;
  } catch {
    return undefined; // of another type of source
  }
}

export function encodePollProgress(poll: PollProgress): string {
  return JSON.stringify({ poll });
}

/** Those that were seen before, and those of the last answer behind them. */
export function rememberSeen(before: readonly string[], now: readonly string[]): string[] {
  const latest = new Set(now);
  const older = before.filter((hash) => !latest.has(hash));
  const room = Math.max(0, MAX_SEEN - now.length);
  return [...(room === 0 ? [] : older.slice(-room)), ...now];
}

/** Conditions that an answer allows; none that are too long to be kept. */
export function conditionsOf(headers: Readonly<Record<string, string | string[] | undefined>>) {
  const text = (value: string | string[] | undefined) =>
    typeof value === "string" && value.length <= MAX_CONDITION_CHARS ? value : undefined;
  return { etag: text(headers.etag), modified: text(headers["last-modified"]) };
}
