import { FaasError, toFaasError } from "../../contract/errors.ts";
import { sleep } from "../../kit/sleep.ts";
import type { EventPage, EventQuery, EventRecord, EventStore, NewDelivery } from "../store/event-store.ts";
import { deliveriesAgain, type Replay } from "./replay.ts";

export type ReplayStore = Pick<EventStore, "list" | "find" | "deliverAgain">;

const PAGE = 200;
/** Between two looks at whether the replay is still wanted, and two notes of how far it is. */
const NOTE_MS = 1_000;
/** Pauses while the store takes nothing. */
const LEAST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 30_000;

/** Events that go to the disk together: fewer where the rate is low, so that it is kept evenly. */
const CHUNKS_A_SECOND = 20;
const MOST_TOGETHER = 64;

interface Chosen {
  readonly record: EventRecord;
  /** Where it goes; nowhere when it is not meant. */
  readonly again: readonly NewDelivery[];
  /** By this replay already. */
  readonly sent: boolean;
}

/** What a replay has come to. */
export type ReplayProgress = Pick<
  Replay,
  "state" | "total" | "done" | "skipped" | "lastRef" | "lastArrivedAt" | "problem" | "endedAt"
>;

export interface ReplayRunOptions {
  readonly store: ReplayStore;
  /** Keeps it. @returns false when the run is to end: it was cancelled, or is another's by now */
  readonly note: (progress: ReplayProgress) => Promise<boolean>;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Events that a replay selects, oldest first. */
export async function* selectedEvents(
  store: Pick<ReplayStore, "list" | "find">,
  { select, events }: Pick<Replay, "select" | "events">,
  after?: string,
): AsyncGenerator<EventRecord> {
  if (events) {
    const rest = after === undefined ? events : events.slice(events.indexOf(after) + 1);
    for (const ref of rest) {
      const record = await store.find(select.namespace, ref);
      if (record) yield record;
    }
    return;
  }
  for await (const page of pagesOf(store, select, after)) yield* page;
}

async function* pagesOf(store: Pick<ReplayStore, "list">, select: EventQuery, after?: string) {
  let page: EventPage = { order: "oldest", limit: PAGE, ...(after !== undefined && { after }) };
  for (;;) {
    const { events, next } = await store.list(select, page);
    yield events;
    if (next === undefined) return;
    page = { ...page, after: next };
  }
}

async function* chunksOf<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let chunk: T[] = [];
  for await (const item of items) {
    if (chunk.push(item) < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** Gives a replay's events out again, from where it is, until it is at its end or the signal aborts. */
export class ReplayRun {
  readonly #options: ReplayRunOptions;
  readonly #replay: Replay;
  #progress: ReplayProgress;
  #notedAt = 0;
  #wanted = true;
  /** Some may have gone out already. */
  #begun: boolean;

  constructor(replay: Replay, options: ReplayRunOptions) {
    this.#replay = replay;
    this.#options = options;
    this.#begun = replay.state === "RUNNING";
    const { state, total, done, skipped, lastRef, lastArrivedAt } = replay;
    this.#progress = {
      state,
      done,
      skipped,
      ...(total !== undefined && { total }),
      ...(lastRef !== undefined && { lastRef }),
      ...(lastArrivedAt !== undefined && { lastArrivedAt }),
    };
  }

  async run(): Promise<void> {
    const { now } = this.#options;
    if (this.#progress.state === "STARTING") {
      await this.#persist(async () => {
        const total = await this.#count();
        this.#progress = { ...this.#progress, state: "RUNNING", total };
      });
    }
    // Also says that it is still this process's, before anything goes out.
    await this.#persist(async () => await this.#note());
    await this.#persist(async () => await this.#sendAll());
    if (this.#over) return;
    const { problem: _, ...progress } = this.#progress;
    this.#progress = { ...progress, state: "COMPLETED", endedAt: now() };
    await this.#note();
  }

  get #over(): boolean {
    return this.#options.signal.aborted || !this.#wanted;
  }

  async #count(): Promise<number> {
    let count = 0;
    for await (const record of selectedEvents(this.#options.store, this.#replay)) {
      if (this.#over) break;
      if (deliveriesAgain(record, this.#replay).length > 0) count++;
    }
    return count;
  }

  async #sendAll(): Promise<void> {
    const { store, signal } = this.#options;
    const { rate } = this.#replay;
    const together = Math.min(Math.max(Math.floor(rate / CHUNKS_A_SECOND), 1), MOST_TOGETHER);
    const resumed = this.#begun;
    this.#begun = true;
    // Of the first ones after a restart some may have gone out already: those since the last note.
    let doubtful = resumed ? Math.ceil((rate * NOTE_MS) / 1000) * 2 + 2 * MOST_TOGETHER : 0;
    let due = performance.now();
    for await (const records of chunksOf(selectedEvents(store, this.#replay, this.#progress.lastRef), together)) {
      const chunk = records.map((record) => {
        const again = deliveriesAgain(record, this.#replay);
        const sent = doubtful-- > 0 && record.deliveries.some(({ replay }) => replay === this.#replay.name);
        return { record, again, sent };
      });
      const sends = chunk.filter(({ again, sent }) => again.length > 0 && !sent).length;
      if (sends > 0) {
        await sleep(Math.max(0, due - performance.now()), signal);
        due = Math.max(performance.now(), due) + (sends * 1000) / rate;
      }
      if (this.#over) return;
      await this.#sendChunk(chunk);
      if (performance.now() - this.#notedAt >= NOTE_MS) await this.#note();
      if (this.#over) return;
    }
  }

  /** Those of a chunk go to the disk together. */
  async #sendChunk(chunk: readonly Chosen[]): Promise<void> {
    const sends = await Promise.allSettled(
      chunk.map(async ({ record, again, sent }) => sent || again.length === 0 || (await this.#send(record, again))),
    );
    // Only now: what is still on its way would be taken for unsent.
    const given = sends.map((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    });
    const meant = chunk.filter(({ again }) => again.length > 0).length;
    const skipped = given.filter((done) => !done).length;
    const last = (chunk.at(-1) as Chosen).record.event;
    this.#progress = {
      ...this.#progress,
      done: this.#progress.done + meant - skipped,
      skipped: this.#progress.skipped + skipped,
      lastRef: last.ref,
      lastArrivedAt: last.arrivedAt,
    };
  }

  /** @returns false for an event that cannot go out: it, or its data, is not kept any more */
  async #send(record: EventRecord, again: readonly NewDelivery[]): Promise<boolean> {
    try {
      await this.#options.store.deliverAgain(this.#replay.namespace, record.event.ref, again);
      return true;
    } catch (error) {
      if (error instanceof FaasError && (error.kind === "notFound" || error.kind === "conflict")) return false;
      throw error;
    }
  }

  /** Does it again after a while as long as the store fails; `work` goes on from where it was. */
  async #persist(work: () => Promise<void>): Promise<void> {
    for (let pauseMs = LEAST_PAUSE_MS; !this.#over; pauseMs = Math.min(pauseMs * 2, MOST_PAUSE_MS)) {
      try {
        await work();
        return;
      } catch (error) {
        this.#progress = { ...this.#progress, problem: toFaasError(error).message };
        await this.#note().catch(() => undefined);
        await sleep(pauseMs, this.#options.signal);
        const { problem: _, ...progress } = this.#progress;
        this.#progress = progress;
      }
    }
  }

  async #note(): Promise<void> {
    this.#notedAt = performance.now();
    this.#wanted = await this.#options.note(this.#progress);
  }
}
