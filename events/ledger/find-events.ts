import type { EventRecord, EventStore } from "../store/event-store.ts";

/** Before a ref, where it could be taken for an id. */
const REF = "ref:";

export interface NamedEvents {
  /** Newest first. */
  readonly events: readonly EventRecord[];
  /** There are more. */
  readonly next?: string;
}

/**
 * Events that a name means: by their id, and the one whose ref it is. The ref alone counts after `ref:`, the id where a source is
 * said. One that is alone comes with its data.
 */
export async function findEvents(
  store: Pick<EventStore, "list" | "find">,
  namespace: string,
  { name, source }: { readonly name: string; readonly source?: string | undefined },
  limit: number,
): Promise<NamedEvents> {
  if (name.startsWith(REF)) {
    const record = await store.find(namespace, name.slice(REF.length));
    return { events: record ? [record] : [] };
  }
  const byRef = source === undefined ? await store.find(namespace, name) : undefined;
  const query = { namespace, id: name, ...(source !== undefined && { source }) };
  const { events, next } = await store.list(query, { order: "newest", limit });
  const others = events.filter(({ event }) => event.ref !== byRef?.event.ref);
  const [only, ...more] = others;
  if (!byRef && only && more.length === 0) return { events: [(await store.find(namespace, only.event.ref)) ?? only] };
  return { events: byRef ? [byRef, ...others] : others, ...(next !== undefined && { next }) };
}

/** Orders refs as their events have arrived. */
export function compareRefs(one: string, other: string): number {
  if (one.length !== other.length) return one.length - other.length;
  return one < other ? -1 : one > other ? 1 : 0;
}
