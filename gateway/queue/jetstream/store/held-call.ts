import type { Disposition } from "../../queue.ts";
import type { Lane } from "../client/names.ts";
import type { Delivery } from "../client/pull.ts";
import type { StoredCall } from "./call-codec.ts";
import type { CallRecord } from "./record.ts";

/** How a delivery ends. */
export type Conclusion =
  | Disposition
  | { readonly kind: "cancelled" }
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
  readonly lane: Lane;
  readonly abort = new AbortController();
  /** Ends the wait for an attempt that does not heed the abort. */
  readonly abandoned = Promise.withResolvers<Conclusion>();
  /** The record that it is running, on its way to the server. */
  running: Promise<void> | undefined;
  /** The attempt itself, which may go on for a while after it was abandoned. */
  delivering: Promise<Disposition> | undefined;
  /** As it was when the attempt began. */
  open: CallRecord | undefined;
  startedAt: number | undefined;
  #cancelled = false;

  constructor(delivery: Delivery, stored: StoredCall, id: string, lane: Lane) {
    this.delivery = delivery;
    this.stored = stored;
    this.id = id;
    this.lane = lane;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  cancel(graceMs: number): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.abort.abort(new Error("the call is cancelled"));
    setTimeout(() => this.abandoned.resolve({ kind: "cancelled" }), graceMs).unref();
  }
}
