import { z } from "zod";
import { decode, maybe } from "./decode.ts";

// Strict: a misspelt option must not remove more than was meant.
const pruneRequest = z.strictObject({
  /** Also images that are kept for a while although no function uses them. */
  all: maybe(z.boolean()),
  /** Tells what would go, and removes nothing. */
  dryRun: maybe(z.boolean()),
});
/** Body of `POST /system/prune`. */
export type PruneRequest = z.output<typeof pruneRequest>;

/** @throws {FaasError} `invalid`, also for fields that it does not know */
export function decodePruneRequest(value: unknown): PruneRequest {
  return decode(pruneRequest, value, "prune");
}

const count = z.number().int().min(0);

const pruneReport = z.object({
  removed: z.array(
    z.object({
      /** Names that it had, none for one whose names have come to mean others. */
      images: z.array(z.string()),
      /** `sha256:<hex>`. */
      digest: z.string(),
      bytes: count,
    }),
  ),
  /** Of all that is named in `removed`, without what is still on the disk for one of the `problems`. */
  bytes: count,
  /** Of those, how many are still being taken off the disk. They cannot be used any more. */
  pending: count,
  /** What no function uses, and is kept for a while all the same. */
  kept: z.object({ images: count, bytes: count }),
  /** What could not be removed and why, a sentence each. */
  problems: z.array(z.string()),
});
/** What `POST /system/prune` answers. */
export type PruneReport = z.output<typeof pruneReport>;

/** @throws {FaasError} `invalid` */
export function decodePruneReport(value: unknown): PruneReport {
  return decode(pruneReport, value, "prune report");
}
