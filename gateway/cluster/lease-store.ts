import { type KV, NatsError } from "nats";
import { z } from "zod";
import { decodeJson } from "../../contract/decode.ts";
import type { Link } from "../nats/connection.ts";
import { type BucketOptions, isOutdated, openBucket } from "./buckets.ts";
import type { Claim, LeaseEntry } from "./lease.ts";

const BUCKET = "faaslane_leases";
/** What can be led: the scaling of functions, and the sources of events that run once. */
export type LeaseKey = "autoscaler" | "events";
/** Longest that a claim is waited for: a wrong one must not keep everybody from leading. */
const MAX_LEASE_MS = 60_000;

const claim = z.object({
  gateway: z.string().min(1).max(256),
  write: z.number().int(),
  leaseMs: z.number().min(0).max(MAX_LEASE_MS),
});

/** The lease in NATS's key-value store. Everything throws {@link NatsError} when the store does not answer in time. */
export class LeaseStore {
  readonly #bucket: KV;
  readonly #key: LeaseKey;

  private constructor(bucket: KV, key: LeaseKey) {
    this.#bucket = bucket;
    this.#key = key;
  }

  static async open(link: Link, timeoutMs: number, options: BucketOptions, key: LeaseKey): Promise<LeaseStore> {
    return new LeaseStore(await openBucket(link, BUCKET, timeoutMs, options), key);
  }

  async look(): Promise<LeaseEntry> {
    const entry = await this.#bucket.get(this.#key);
    if (!entry) return { revision: 0 };
    const { revision } = entry;
    return entry.operation === "PUT" ? { revision, claim: parseClaim(entry.string()) } : { revision };
  }

  /** @returns the new revision; undefined when `revision` is not the last one any more */
  async write(revision: number, { gateway, write, leaseMs }: Claim): Promise<number | undefined> {
    return await unlessOutdated(
      this.#bucket.put(this.#key, JSON.stringify({ gateway, write, leaseMs }), { previousSeq: revision }),
    );
  }

  /** Gives the lease back, unless `revision` is not the last one any more. */
  async remove(revision: number): Promise<void> {
    await unlessOutdated(this.#bucket.delete(this.#key, { previousSeq: revision }));
  }
}

/** What nobody could have written is waited for as if it were a claim: it may be one of another version. */
function parseClaim(text: string): Claim {
  try {
    return decodeJson(claim, text, "lease");
  } catch {
    return { gateway: "unknown", write: 0, leaseMs: 0 };
  }
}

async function unlessOutdated<T>(writing: Promise<T>): Promise<T | undefined> {
  try {
    return await writing;
  } catch (error) {
    if (isOutdated(error)) return undefined;
    throw error;
  }
}
