import { mayTakeMore } from "../../delivery-share.ts";
import type { HeldDelivery } from "./held-delivery.ts";
import type { TriggerSubscription } from "./trigger-subscription.ts";

/** What this process has of one trigger. */
export interface TriggerShare {
  readonly subscription: TriggerSubscription;
  /** In hand, those that wait here among them. */
  held: number;
  running: number;
  /** Due, in order. */
  readonly ready: HeldDelivery[];
}

/** Beside those that run, so that the next one need not be fetched when one ends. */
const AHEAD = 16;

/** How many more are to be fetched. */
export function wanted({ held }: TriggerShare, limit: number, concurrency: number): number {
  const most = Math.min(limit, concurrency);
  return most <= 0 ? 0 : most + Math.min(most, AHEAD) - held;
}

/** Which trigger's turn it is: the first one, in a circle, that has something due and room for it. */
export function nextShare(
  shares: Iterable<TriggerShare>,
  limitOf: (trigger: string) => number,
  running: number,
  concurrency: number,
): TriggerShare | undefined {
  for (const share of shares) {
    if (share.ready.length === 0) continue;
    if (mayTakeMore(share.running, limitOf(share.subscription.trigger), running, concurrency)) return share;
  }
  return undefined;
}
