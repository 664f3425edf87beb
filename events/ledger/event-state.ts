import type { EventState } from "../../contract/events/event-report.ts";
import type { DeliveryRecord, DeliveryState, EventRecord } from "../store/event-store.ts";

/** What an event's deliveries come to: what is still to happen first, then what went wrong. */
const ORDER: readonly DeliveryState[] = ["delivering", "retrying", "waiting", "dead", "dropped", "delivered"];

/** Deliveries by their states. */
export function countStates({ deliveries }: Pick<EventRecord, "deliveries">): Partial<Record<DeliveryState, number>> {
  const counts: Partial<Record<DeliveryState, number>> = {};
  for (const { state } of deliveries) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** How an event stands as a whole; of each trigger the latest delivery counts, so that a replay can mend what was dead. */
export function stateOf(record: Pick<EventRecord, "pending" | "deliveries">): EventState {
  const latest = latestDeliveries(record);
  const found = ORDER.find((state) => latest.some((delivery) => delivery.state === state));
  return found ?? (record.pending ? "pending" : "unmatched");
}

/** The latest delivery to each trigger's subscriber; what went to dead-letter sinks does not count. */
export function latestDeliveries({ deliveries }: Pick<EventRecord, "deliveries">): DeliveryRecord[] {
  const byTrigger = new Map<string, DeliveryRecord>();
  for (const delivery of deliveries) {
    if (!delivery.deadLetter) byTrigger.set(delivery.trigger, delivery);
  }
  return [...byTrigger.values()];
}
