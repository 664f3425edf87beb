import { createHash } from "node:crypto";
import { checkedEvent } from "../codec/cloud-event.ts";
import type { Appended, EventStore, NewEvent } from "../store/event-store.ts";
import type { DeclaredSource } from "./declared-source.ts";
import type { SourceEvent } from "./source.ts";

/** Replies that may follow one from another, as for events that come over HTTP. */
const HOPS = 255;
/** Longer ones are kept as their hash. */
const MAX_ONCE_CHARS = 200;

/**
 * Stores what a source has seen.
 * @throws {FaasError} `invalid` for what is no event; what the store says
 */
export async function emitEvents(
  source: DeclaredSource,
  events: readonly SourceEvent[],
  store: Pick<EventStore, "append">,
  now: number,
): Promise<readonly Appended[]> {
  if (events.length === 0) return [];
  return await store.append(events.map((event) => newEvent(source, event, now)));
}

function newEvent(
  source: DeclaredSource,
  { event, headers, topic, once, directed }: SourceEvent,
  now: number,
): NewEvent {
  const { data, attributes } = event;
  const complete = { ...attributes, ...source.attributes, ...(topic !== undefined && { topic }) };
  return {
    broker: { namespace: source.namespace, name: source.broker },
    event: checkedEvent({ attributes: complete, ...(data !== undefined && { data }) }),
    headers: headers ?? [],
    hops: HOPS,
    arrivedAt: now,
    via: source.id,
    ...(once !== undefined && { once: onceKey(source.id, once) }),
    ...(directed && { directed }),
  };
}

/** Sources of one broker do not know what others have seen. */
function onceKey(id: string, once: string): string {
  const key = `${id}/${once}`;
  return key.length <= MAX_ONCE_CHARS ? key : `${id}/sha256:${createHash("sha256").update(once).digest("hex")}`;
}
