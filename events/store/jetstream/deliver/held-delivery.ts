import type { Delivery } from "../../../../gateway/nats/pull.ts";
import type { StoredEvent } from "../../event-store.ts";
import type { OpenDelivery } from "../client/delivery-message.ts";
import type { DeliveryDoc, Found, RecordPlace } from "../client/records.ts";

/** A delivery in the hands of this process. */
export interface HeldDelivery {
  /** The latest, should the server have given it out again meanwhile. */
  place: Delivery;
  readonly message: OpenDelivery;
  /** Aborts when it is somebody else's, or nobody's. */
  readonly abort: AbortController;
  /** What its record says, as far as it has been looked at or written; undefined for nothing. */
  record: Found<DeliveryDoc> | undefined;
  event?: StoredEvent;
  /**
   * From when on what follows from its end may have been stored, by the server's clock: somebody has tried before, who may
   * not have lived to note it. Absent when nobody has.
   */
  followedSince?: number;
  /** While it is written down that it is under way. */
  marking?: Promise<void>;
}

export function recordPlaceOf({ message: { broker, ref, n } }: Pick<HeldDelivery, "message">): RecordPlace {
  return { broker, ref, n };
}
