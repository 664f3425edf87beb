import { type KV, NatsError, StorageType } from "nats";
import { API_ERRORS, type Link } from "../nats/connection.ts";

export interface BucketOptions {
  /** Copies in the cluster, 1 to 5. */
  readonly replicas: number;
  readonly storage: "file" | "memory";
}

/**
 * Opens a bucket that keeps the last value of each key, and makes it if need be.
 * @param timeoutMs of each request
 * @throws {NatsError}
 */
export async function openBucket(
  { nc }: Link,
  name: string,
  timeoutMs: number,
  { replicas, storage }: BucketOptions,
): Promise<KV> {
  return await nc.jetstream({ timeout: timeoutMs }).views.kv(name, {
    history: 1,
    replicas,
    storage: storage === "file" ? StorageType.File : StorageType.Memory,
    // Copies may be behind; the leader of the stream is asked.
    allow_direct: false,
  });
}

/** Whether a write was refused because there is a newer revision. */
export function isOutdated(thrown: unknown): boolean {
  return thrown instanceof NatsError && thrown.api_error?.err_code === API_ERRORS.wrongLastSequence;
}
