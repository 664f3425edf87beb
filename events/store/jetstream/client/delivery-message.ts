import type { BrokerRef, NewDelivery } from "../../event-store.ts";

/** An open delivery, as a message tells it. What has come of it so far is in its record. */
export interface OpenDelivery {
  readonly broker: BrokerRef;
  readonly ref: string;
  /** Tells the event's deliveries apart. */
  readonly n: string;
  readonly delivery: NewDelivery;
  readonly failures: number;
  /** Of the event. */
  readonly arrivedAt: number;
  /** When it is due; at once when absent. */
  readonly dueAt?: number;
  /** Number of the last message of its record, 0 for none. */
  readonly record: number;
  /** Its record is to be looked at first: it may have been published before. */
  readonly again?: true;
  /** Number of its message in the lane of its key, if it has one and it is its turn. */
  readonly lane?: number;
  /** Its event is not to be kept as it is once all deliveries are over. */
  readonly drops?: true;
}

export function encodeDelivery(message: OpenDelivery): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** @returns undefined for what is none */
export function decodeDelivery(data: Uint8Array): OpenDelivery | undefined {
  try {
    const message = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as OpenDelivery;
    const isSound =
      typeof message.ref === "string" &&
      typeof message.n === "string" &&
      typeof message.delivery?.trigger === "string" &&
      typeof message.broker?.name === "string";
    return isSound ? message : undefined;
  } catch {
    return undefined;
  }
}

/** Unique in the store. */
export function deliveryId({ ref, n }: Pick<OpenDelivery, "ref" | "n">): string {
  return `${ref}-${n}`;
}
