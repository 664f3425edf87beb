import type { Delivery } from "../../../nats/pull.ts";
import type { Ending } from "../../worker/store.ts";
import type { FunctionQueueRef } from "../client/names.ts";
import type { StoredCall } from "./call-codec.ts";
import type { CallRecord } from "./record.ts";

/** How a delivery ends. */
export type Conclusion =
  | Ending
  /** As if it had never been tried. */
  | { readonly kind: "back" }
  /** Its message is of the past: the call has ended or moved on. */
  | { readonly kind: "stale"; readonly finished?: CallRecord };

/** A message in the hands of this process, from its delivery to its end. */
export class HeldCall {
  /** The latest, should the server have delivered it again meanwhile. */
  delivery: Delivery;
  readonly stored: StoredCall;
  readonly id: string;
  readonly functionQueue: FunctionQueueRef;
  cancelled = false;
  /** Its attempt is under way, or has been. */
  begun = false;
  /** It has given up all slots. */
  free = false;
  /** What becomes of it has been decided. */
  concluded = false;
  /** Until it is shown that it is running. */
  showing: NodeJS.Timeout | undefined;
  /** The record that it is running, on its way to the server. */
  running: Promise<void> | undefined;
  /** The attempt itself, which may go on for a while after what becomes of it was decided. */
  delivering: Promise<unknown> | undefined;
  /** As it was when the attempt began. */
  open: CallRecord | undefined;
  startedAt: number | undefined;

  constructor(delivery: Delivery, stored: StoredCall, id: string, functionQueue: FunctionQueueRef) {
    this.delivery = delivery;
    this.stored = stored;
    this.id = id;
    this.functionQueue = functionQueue;
  }
}
