import { DatabaseFile } from "../../../../kit/database-file.ts";
import type { IdKey } from "../call-ids.ts";
import { EmbeddedBatches } from "./batches.ts";
import { EmbeddedCallbacks } from "./callbacks.ts";
import { EmbeddedCalls } from "./calls.ts";
import { EmbeddedDead } from "./dead.ts";
import { EmbeddedHistory } from "./history.ts";
import { EmbeddedListing } from "./listing.ts";
import { prepareQueueDatabase } from "./schema.ts";

/** The queue's file. */
export class EmbeddedStore extends DatabaseFile {
  readonly calls: EmbeddedCalls;
  readonly history: EmbeddedHistory;
  readonly batches: EmbeddedBatches;
  readonly dead: EmbeddedDead;
  readonly listing: EmbeddedListing;
  readonly callbacks: EmbeddedCallbacks;
  readonly key: IdKey;

  /** @throws {Error} when the file is locked, damaged, someone else's or of another schema */
  constructor(path: string, maxBytes: number) {
    super(path, maxBytes, prepareQueueDatabase);
    const identity = this.db.get("SELECT key, hidden_from FROM identity");
    this.key = { secret: identity?.key as Uint8Array, hiddenFrom: identity?.hidden_from as number };
    this.calls = new EmbeddedCalls(this.db);
    this.history = new EmbeddedHistory(this.db);
    this.batches = new EmbeddedBatches(this.db);
    this.dead = new EmbeddedDead(this.db);
    this.listing = new EmbeddedListing(this.db);
    this.callbacks = new EmbeddedCallbacks(this.db);
  }

  /** See `EmbeddedDatabase.transaction`. */
  transaction<T>(change: () => T, flush = true): T {
    return this.db.transaction(change, flush);
  }
}
