import type { Link } from "../../../../gateway/nats/connection.ts";
import { countSubjects } from "../../../../gateway/nats/count-subjects.ts";
import { readOn } from "../../../../gateway/nats/direct-get.ts";
import { readMessage } from "../../../../gateway/nats/stored-message.ts";
import type { BrokerRef } from "../../event-store.ts";
import { readableEvent } from "./event-message.ts";
import { CURSOR_SUBJECT, EVENT_STREAMS, logFilter, parseLog, routedFilter } from "./names.ts";

export interface BrokerUse {
  readonly events: number;
  readonly bytes: number;
}

export interface KeptEvents {
  readonly routed: number;
  readonly pending: number;
  /** Arrival of the first one that is pending. */
  readonly oldestAt: number | undefined;
}

/** What the events of a broker take, as the server counts them. */
export async function countBroker(link: Link, broker: BrokerRef): Promise<BrokerUse> {
  const [counts, { routed, pending }] = await Promise.all([
    countSubjects(link, EVENT_STREAMS.log, logFilter(broker.namespace, broker.name)),
    countKept(link, broker),
  ]);
  let bytes = 0;
  for (const [subject, count] of counts) bytes += count * (parseLog(subject)?.bytes ?? 0);
  return { events: routed + pending, bytes };
}

/** Also of those whose data is not kept any more. */
export async function countKept(link: Link, { namespace, name }: BrokerRef): Promise<KeptEvents> {
  const routedUpTo = await readRoutedUpTo(link);
  const [records, log] = await Promise.all([
    readOn(link, EVENT_STREAMS.records, { seq: 1, subject: routedFilter(namespace, name), limit: 1 }),
    readOn(link, EVENT_STREAMS.log, { seq: routedUpTo + 1, subject: logFilter(namespace, name), limit: 1 }),
  ]);
  const [first] = log.messages;
  return {
    routed: records.messages.length + records.pending,
    pending: log.messages.length + log.pending,
    oldestAt: first && readableEvent(first.data)?.meta.arrivedAt,
  };
}

/** Number of the last event in the log up to which all have been routed. */
export async function readRoutedUpTo(link: Link): Promise<number> {
  const message = await readMessage(link, EVENT_STREAMS.resources, { last_by_subj: CURSOR_SUBJECT });
  return message ? (JSON.parse(message.data.toString()) as { seq: number }).seq : 0;
}
