import { FaasError } from "../../../../contract/errors.ts";
import { readOn } from "../../../../gateway/nats/direct-get.ts";
import type { NewDelivery } from "../../event-store.ts";
import type { EventContext } from "../client/context.ts";
import { decodeDelivery, deliveryId } from "../client/delivery-message.ts";
import { EVENT_SIGNALS, EVENT_STREAMS, newId, openFilters } from "../client/names.ts";
import { isOver, newDoc } from "../client/records.ts";
import type { EventLedger } from "./event-ledger.ts";

const PAGE = 256;
const PAGE_BYTES = 4 * 1024 ** 2;

/** Adds deliveries of an event that is kept. @throws {FaasError} `notFound`, or `conflict` when its data is not kept */
export async function deliverAgain(
  context: EventContext,
  ledger: EventLedger,
  namespace: string,
  ref: string,
  deliveries: readonly NewDelivery[],
): Promise<void> {
  const record = await ledger.find(namespace, ref);
  if (!record) throw new FaasError("notFound", "there is no such event (any more)");
  const { broker, arrivedAt } = record.event;
  if (!(await context.message(ref))) {
    throw new FaasError("conflict", "the event's data is not kept, so it cannot be delivered again");
  }
  const { brokers, open, records } = context;
  const ttlS = brokers.ttlOf(record.event);
  for (const [index, delivery] of deliveries.entries()) {
    const n = `a${newId()}${index}`;
    const seq = await records.write({ broker, ref, n }, newDoc(delivery), 0, ttlS);
    const dueAt = delivery.notBefore;
    const message = { broker, ref, n, delivery, failures: 0, arrivedAt, record: seq ?? 0, drops: true } as const;
    await open.add({ ...message, ...(dueAt !== undefined && { dueAt }) });
  }
}

/** Ends what is open of a trigger. @returns how many */
export async function dropDeliveries(context: EventContext, trigger: string, reason: string): Promise<number> {
  const { link } = context;
  const seen = new Set<string>();
  let count = 0;
  for (const subject of openFilters({ trigger })) {
    let last = 0;
    for (;;) {
      const bounds = { seq: last + 1, subject, limit: PAGE, maxBytes: PAGE_BYTES };
      const { messages } = await readOn(link, EVENT_STREAMS.deliveries, bounds);
      if (messages.length === 0) break;
      last = messages.at(-1)?.seq as number;
      const dropped = await Promise.all(messages.map(({ data }) => dropOne(context, data, reason, seen)));
      count += dropped.filter(Boolean).length;
    }
    if (last > 0) await link.api(`STREAM.PURGE.${EVENT_STREAMS.deliveries}`, { filter: subject, seq: last + 1 });
  }
  link.send({ subject: EVENT_SIGNALS.dropped, payload: trigger });
  return count;
}

/** @returns whether it was open until now */
async function dropOne(context: EventContext, data: Buffer, reason: string, seen: Set<string>): Promise<boolean> {
  const message = decodeDelivery(data);
  if (!message || seen.has(deliveryId(message))) return false;
  seen.add(deliveryId(message));
  const { records, brokers } = context;
  for (;;) {
    const found = await records.delivery(message);
    if (found && isOver(found.doc)) return false;
    const { nextAttemptAt: _, ...doc } = found?.doc ?? newDoc(message.delivery);
    const dropped = { ...doc, state: "dropped" as const, reason };
    if ((await records.write(message, dropped, found?.seq ?? 0, brokers.ttlOf(message))) !== undefined) return true;
  }
}
