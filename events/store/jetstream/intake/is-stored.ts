import { createHash } from "node:crypto";
import { lastOf, readOn } from "../../../../gateway/nats/direct-get.ts";
import type { EventContext } from "../client/context.ts";
import { decodeEvent } from "../client/event-message.ts";
import { EVENT_STREAMS, logSubject, routedFilter } from "../client/names.ts";
import { parseWhole } from "../client/records.ts";

const PAGE = 256;
const PAGE_BYTES = 4 * 1024 ** 2;

/**
 * Whether the log has, or had, exactly this event. What is kept of none of its events (`ledger: off`) is forgotten when it
 * has been delivered.
 * @param since before it nobody has stored it, by the server's clock
 */
export async function isStored(context: EventContext, message: Buffer, since: number): Promise<boolean> {
  // The log first: what leaves it has been routed before.
  return (await isInLog(context, message, since)) || (await isRouted(context, message));
}

async function isInLog({ link }: EventContext, message: Buffer, since: number): Promise<boolean> {
  const subject = logSubject(decodeEvent(message).meta.broker, message.byteLength);
  const bounds = { subject, limit: PAGE, maxBytes: PAGE_BYTES };
  for (let from: { since: number } | { seq: number } = { since }; ; ) {
    const { messages } = await readOn(link, EVENT_STREAMS.log, { ...from, ...bounds });
    if (messages.some(({ data }) => data.equals(message))) return true;
    const last = messages.at(-1);
    if (!last) return false;
    from = { seq: last.seq + 1 };
  }
}

async function isRouted({ link }: EventContext, message: Buffer): Promise<boolean> {
  const { meta, data } = decodeEvent(message);
  const { namespace, name } = meta.broker;
  const sha256 = data && createHash("sha256").update(data).digest("hex");
  const found = await lastOf(link, EVENT_STREAMS.records, [routedFilter(namespace, name, meta.attributes)]);
  return found.some((record) => {
    const whole = parseWhole(record.data);
    return whole?.sha256 === sha256 && JSON.stringify(whole?.meta) === JSON.stringify(meta);
  });
}
