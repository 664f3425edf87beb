import type { KV } from "nats";
import { decodeJson } from "../../contract/decode.ts";
import type { StoredPattern } from "../core/scaling/daily-pattern.ts";
import type { Link } from "../nats/connection.ts";
import { storedPattern } from "../scaling/pattern-file.ts";
import { type BucketOptions, openBucket } from "./buckets.ts";

const BUCKET = "faaslane_patterns";
const TIMEOUT_MS = 5_000;
/** Functions whose patterns are read; more ask for none. */
const MAX_FUNCTIONS = 10_000;

/** What was learned about functions, in NATS's key-value store: a key for each, as one for all would grow too large. */
export class PatternStore {
  readonly #bucket: KV;
  /** As it is stored. */
  readonly #known = new Map<string, string>();

  private constructor(bucket: KV) {
    this.#bucket = bucket;
  }

  static async open(link: Link, options: BucketOptions): Promise<PatternStore> {
    return new PatternStore(await openBucket(link, BUCKET, TIMEOUT_MS, options));
  }

  /**
   * @param onBad gets functions whose entry is something else; these are left out
   * @throws {Error} when the store does not answer in time
   */
  async read(onBad: (name: string, error: unknown) => void): Promise<Record<string, StoredPattern>> {
    const names: string[] = [];
    for await (const name of await this.#bucket.keys()) {
      if (names.length >= MAX_FUNCTIONS) break;
      names.push(name);
    }
    const learned: Record<string, StoredPattern> = {};
    for (const name of names) {
      const entry = await this.#bucket.get(name);
      if (entry?.operation !== "PUT") continue;
      this.#known.set(name, entry.string());
      try {
        learned[name] = decodeJson(storedPattern, entry.string(), `pattern of ${name}`);
      } catch (error) {
        onBad(name, error);
      }
    }
    return learned;
  }

  /** Stores what has changed; what is not in `learned` is forgotten. @throws {Error} */
  async write(learned: Readonly<Record<string, StoredPattern>>): Promise<void> {
    for (const [name, pattern] of Object.entries(learned)) {
      const text = JSON.stringify(pattern);
      if (this.#known.get(name) === text) continue;
      await this.#bucket.put(name, text);
      this.#known.set(name, text);
    }
    for (const name of this.#known.keys()) {
      if (Object.hasOwn(learned, name)) continue;
      await this.#bucket.purge(name);
      this.#known.delete(name);
    }
  }
}
