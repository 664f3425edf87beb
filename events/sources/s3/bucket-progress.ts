import { createHash } from "node:crypto";

/** An object as a list of its bucket has it. */
export interface ListedObject {
  readonly key: string;
  readonly etag: string;
  readonly size: number;
  readonly modifiedMs: number;
}

/** What is known of a bucket: everything that is older than `floor`, and what is `seen` since. */
export interface BucketProgress {
  /** Bucket and prefix; of others nothing is known. */
  readonly of: string;
  /** Milliseconds since the epoch. */
  readonly floor: number;
  readonly seen: ReadonlySet<string>;
}

const HASH_CHARS = 12;
/** Their hashes have room in a cursor. */
const MAX_SEEN = 4_000;
/** What is younger may have come behind the place where a list was. */
const YOUNG_MS = 60_000;

/** Names one state of an object. */
export function objectState({ key, etag, modifiedMs }: ListedObject): string {
  return createHash("sha256")
    .update(JSON.stringify([key, etag, modifiedMs]))
    .digest("base64url");
}

export function isKnown({ floor, seen }: BucketProgress, object: ListedObject): boolean {
  return object.modifiedMs < floor || seen.has(objectState(object).slice(0, HASH_CHARS));
}

/** Keeps of a list the newest objects, which are what is known afterwards. */
export class ListedBucket {
  readonly #startedAt: number;
  #newest: { readonly modifiedMs: number; readonly hash: string }[] = [];
  #floor: number;

  /** @param before what was known; its floor stays, whatever is removed from the bucket */
  constructor(before: BucketProgress | undefined, startedAt: number) {
    this.#floor = before?.floor ?? 0;
    this.#startedAt = startedAt;
  }

  add(object: ListedObject): void {
    if (object.modifiedMs < this.#floor) return;
    this.#newest.push({ modifiedMs: object.modifiedMs, hash: objectState(object).slice(0, HASH_CHARS) });
    if (this.#newest.length >= 2 * MAX_SEEN) this.#forget();
  }

  progress(of: string): BucketProgress {
    this.#forget();
    return {
      of,
      floor: Math.min(this.#floor, this.#startedAt - YOUNG_MS),
      seen: new Set(this.#newest.map(({ hash }) => hash)),
    };
  }

  #forget(): void {
    if (this.#newest.length <= MAX_SEEN) return;
    this.#newest.sort((a, b) => b.modifiedMs - a.modifiedMs);
    this.#floor = Math.max(this.#floor, this.#newest[MAX_SEEN]?.modifiedMs ?? 0);
    this.#newest = this.#newest.slice(0, MAX_SEEN);
  }
}

export function encodeBucketProgress({ of, floor, seen }: BucketProgress): string {
  return JSON.stringify({ bucket: { of, floor, seen: [...seen].join("") } });
}

/** @returns undefined for a cursor of another bucket or type of source */
export function parseBucketProgress(text: string | undefined, of: string): BucketProgress | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const { bucket } = JSON.parse(text) as { bucket?: { of?: unknown; floor?: unknown; seen?: unknown } };
    if (bucket?.of !== of || typeof bucket.floor !== "number" || typeof bucket.seen !== "string") return undefined;
    return { of, floor: bucket.floor, seen: new Set(bucket.seen.match(/.{12}/g) ?? []) };
  } catch {
    return undefined;
  }
}
