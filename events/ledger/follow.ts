import { sleep } from "../../kit/sleep.ts";
import type { EventQuery, EventRecord, EventStore } from "../store/event-store.ts";
import { stateOf } from "./event-state.ts";

const PAGE = 200;
const EVERY_MS = 500;
/** An event is told of again when its deliveries have ended, if that is within this time. */
const WATCHED_MS = 60_000;

interface Seen {
  readonly record: EventRecord;
  /** The one before it, after which it is found again. */
  readonly before: string | undefined;
  readonly seenAt: number;
}

const ENDED: ReadonlySet<string> = new Set(["unmatched", "delivered", "dead", "dropped"]);

/**
 * Events as they arrive, from now on; each once more when all of its deliveries have ended. Those in certain states are
 * told of when they come into one.
 */
export class EventFollower {
  readonly #store: Pick<EventStore, "list">;
  readonly #query: EventQuery;
  readonly #everyMs: number;
  readonly #open = new Map<string, Seen>();
  #last: string | undefined;

  constructor(store: Pick<EventStore, "list">, query: EventQuery, everyMs = EVERY_MS) {
    this.#store = store;
    this.#query = query;
    this.#everyMs = everyMs;
  }

  /** What arrives from now on is told. */
  async begin(): Promise<void> {
    const { namespace } = this.#query;
    const [newest] = (await this.#store.list({ namespace }, { order: "newest", limit: 1 })).events;
    this.#last = newest?.event.ref;
  }

  /** After {@link begin}. */
  async *follow(signal: AbortSignal): AsyncGenerator<EventRecord> {
    while (!signal.aborted) {
      yield* this.#changes();
      const full = yield* this.#arrivals();
      if (!full) await sleep(this.#everyMs, signal);
    }
  }

  /** @returns whether there may be more at once */
  async *#arrivals(): AsyncGenerator<EventRecord, boolean> {
    const { states: _, ...query } = this.#query;
    const events = await this.#page(query, this.#last);
    for (const record of events) {
      const before = this.#last;
      this.#last = record.event.ref;
      if (!isEnded(record)) this.#open.set(this.#last, { record, before, seenAt: performance.now() });
      if (this.#wants(record)) yield record;
    }
    return events.length === PAGE;
  }

  /** Looks at those again that were not at their end. */
  async *#changes(): AsyncGenerator<EventRecord> {
    const overdue = performance.now() - WATCHED_MS;
    for (const [ref, { seenAt }] of this.#open) if (seenAt < overdue) this.#open.delete(ref);
    const [oldest] = this.#open.values();
    if (!oldest) return;
    const { states: _, ...query } = this.#query;
    for (const record of await this.#page(query, oldest.before)) {
      const seen = this.#open.get(record.event.ref);
      if (!seen || !isEnded(record)) continue;
      this.#open.delete(record.event.ref);
      if (this.#wants(record)) yield record;
    }
  }

  async #page(query: EventQuery, after: string | undefined): Promise<readonly EventRecord[]> {
    const page = { order: "oldest", limit: PAGE, ...(after !== undefined && { after }) } as const;
    return (await this.#store.list(query, page)).events;
  }

  #wants({ pending, deliveries }: EventRecord): boolean {
    const { states } = this.#query;
    if (!states) return true;
    if (deliveries.length === 0) return !pending && states.includes("unmatched");
    return deliveries.some(({ state }) => states.includes(state));
  }
}

function isEnded(record: EventRecord): boolean {
  return ENDED.has(stateOf(record));
}
