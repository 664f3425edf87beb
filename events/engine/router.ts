import type { EventAttributes } from "../filters/filter.ts";
import type { BrokerRef, NewDelivery, Routing, StoredEvent, TriggerVerdict } from "../store/event-store.ts";
import type { Trigger } from "../triggers/trigger.ts";

/** Kept of an event: those that wanted it, and of those that did not as many, with as long reasons in all. */
const MAX_UNMATCHED_KEPT = 100;
const MAX_REASON_CHARS = 4_096;
const KEEP = ["off", "meta", "full"] as const;

/** Milliseconds of routing at a time; others use the event loop too. */
const SLICE_MS = 4;

/**
 * Says who gets each of the events, and why the others do not. Yields now and then, as thousands of triggers take their time.
 * @param now in milliseconds since the epoch
 */
export function* routeEvents(
  events: readonly StoredEvent[],
  triggersOf: (broker: BrokerRef) => readonly Trigger[],
  now: number,
): Generator<void, readonly Routing[]> {
  const routings: Routing[] = [];
  let sliceEndsAt = performance.now() + SLICE_MS;
  for (const event of events) {
    routings.push(routeEvent(event, triggersOf(event.broker), now));
    if (performance.now() < sliceEndsAt) continue;
    yield;
    sliceEndsAt = performance.now() + SLICE_MS;
  }
  return routings;
}

function routeEvent({ ref, event }: StoredEvent, triggers: readonly Trigger[], now: number): Routing {
  const { attributes } = event;
  const verdicts: TriggerVerdict[] = [];
  const deliveries: NewDelivery[] = [];
  const expired = hasExpired(attributes, now);
  let unmatched = 0;
  let reasonChars = 0;
  let keep = 0;
  for (const trigger of triggers) {
    const reason = expired ? "expirytime: is over" : whyNot(trigger, attributes);
    if (reason === undefined) {
      verdicts.push({ trigger: trigger.id, matched: true });
      deliveries.push(deliveryOf(trigger, attributes));
      keep = Math.max(keep, KEEP.indexOf(trigger.keep));
    } else if (unmatched < MAX_UNMATCHED_KEPT && reasonChars < MAX_REASON_CHARS) {
      verdicts.push({ trigger: trigger.id, matched: false, reason });
      unmatched++;
      reasonChars += reason.length;
    }
  }
  return { ref, verdicts, deliveries, keep: deliveries.length === 0 ? "full" : (KEEP[keep] ?? "full") };
}

/** Why the trigger does not get it; undefined when it does. */
function whyNot({ stopped, suspended, filter }: Trigger, attributes: EventAttributes): string | undefined {
  const { passes, reason } = filter(attributes);
  if (passes === false) return reason ?? "the filter does not let it pass";
  return stopped === undefined || suspended ? undefined : `the trigger has stopped: ${stopped}`;
}

function deliveryOf({ id, ordered }: Trigger, { partitionkey }: EventAttributes): NewDelivery {
  const orderKey = ordered && partitionkey !== undefined && partitionkey !== "" ? String(partitionkey) : undefined;
  return { trigger: id, ...(orderKey !== undefined && { orderKey }) };
}

/** Whether what the event tells is of no use any more, as it says itself. */
export function hasExpired({ expirytime }: EventAttributes, now: number): boolean {
  const at = typeof expirytime === "string" ? Date.parse(expirytime) : Number.NaN;
  return at <= now;
}
