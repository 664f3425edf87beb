import { countSubjects } from "../../../../gateway/nats/count-subjects.ts";
import { readOn } from "../../../../gateway/nats/direct-get.ts";
import type { BrokerRef, BrokerStats } from "../../event-store.ts";
import { countKept } from "../client/broker-count.ts";
import type { EventContext } from "../client/context.ts";
import { decodeDelivery } from "../client/delivery-message.ts";
import { brokerKey, deadFilter, EVENT_STREAMS, logFilter, openFilters, parseLog, parseOpen } from "../client/names.ts";

/** Deliveries that are looked at for the oldest one. They come up nearly in order. */
const LOOKED_AT = 500;
const LOOKED_AT_BYTES = 1024 ** 2;

interface Tally {
  readonly broker: BrokerRef;
  bytes: number;
  open: Record<string, number>;
}

/** What there is of each broker of a namespace that has anything. */
export async function countEvents(context: EventContext, namespace: string): Promise<BrokerStats[]> {
  const { link } = context;
  const tallies = new Map<string, Tally>();
  const tallyOf = (broker: BrokerRef) => {
    const known = tallies.get(brokerKey(broker));
    if (known) return known;
    const tally: Tally = { broker, bytes: 0, open: {} };
    tallies.set(brokerKey(broker), tally);
    return tally;
  };
  const [log, ...open] = await Promise.all([
    countSubjects(link, EVENT_STREAMS.log, logFilter(namespace)),
    ...openFilters({ namespace }).map((filter) => countSubjects(link, EVENT_STREAMS.deliveries, filter)),
  ]);
  for (const [subject, count] of log) {
    const parsed = parseLog(subject);
    if (!parsed) continue;
    const tally = tallyOf(parsed.broker);
    tally.bytes += count * parsed.bytes;
  }
  for (const [subject, count] of open.flatMap((counts) => [...counts])) {
    const parsed = parseOpen(subject);
    // Whose turn it is, is in its lane too.
    if (!parsed || parsed.turn) continue;
    const tally = tallyOf(parsed.broker);
    tally.open[parsed.trigger] = (tally.open[parsed.trigger] ?? 0) + count;
  }
  return await Promise.all([...tallies.values()].map((tally) => complete(context, tally)));
}

async function complete(context: EventContext, { broker, bytes, open }: Tally): Promise<BrokerStats> {
  const [counted, dead, oldest] = await Promise.all([
    countKept(context.link, broker),
    deadOf(context, broker),
    Object.keys(open).length > 0 ? oldestOpen(context, broker) : undefined,
  ]);
  const arrivals = [counted.oldestAt, oldest].filter((at) => at !== undefined);
  return {
    broker,
    events: counted.routed + counted.pending,
    bytes,
    pending: counted.pending,
    open,
    dead,
    ...(arrivals.length > 0 && { oldestOpenAt: Math.min(...arrivals) }),
  };
}

async function deadOf({ link }: EventContext, broker: BrokerRef): Promise<number> {
  const { messages, pending } = await readOn(link, EVENT_STREAMS.records, {
    seq: 1,
    subject: deadFilter(broker),
    limit: 1,
  });
  return messages.length + pending;
}

async function oldestOpen({ link }: EventContext, broker: BrokerRef): Promise<number | undefined> {
  const pages = await Promise.all(
    openFilters(broker).map((subject) =>
      readOn(link, EVENT_STREAMS.deliveries, { seq: 1, subject, limit: LOOKED_AT, maxBytes: LOOKED_AT_BYTES }),
    ),
  );
  const own = pages.flatMap(({ messages }) => messages).flatMap(({ data }) => decodeDelivery(data) ?? []);
  return own.length === 0 ? undefined : Math.min(...own.map(({ arrivedAt }) => arrivedAt));
}
