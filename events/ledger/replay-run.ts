import { FaasError, toFaasError } from "../../contract/errors.ts";
import { sleep } from "../../kit/sleep.ts";
import type { EventPage, EventQuery, EventRecord, EventStore } from "../store/event-store.ts";
import { deliveriesAgain, type Replay } from "./replay.ts";

export type ReplayStore = Pick<EventStore, "list" | "find" | "deliverAgain">;

const PAGE = 200;
/** Between two looks at whether the replay is still wanted, and two notes of how far it is. */
const NOTE_MS = 1_000;
/** Pauses while the store takes nothing. */
const LEAST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 30_000;

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

/** Gives a replay's events out again, from where it is, until it is at its end or the signal aborts. */
export class ReplayRun {
  readonly #options: ReplayRunOptions;
  readonly #replay: Replay;
  #progress: ReplayProgress;
  #notedAt = 0;
  #wanted = true;

  constructor(replay: Replay, options: ReplayRunOptions) {
    this.#replay = replay;
    this.#options = options;
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
    const { store } = this.#options;
    // Of the first ones after a restart some may have gone out already, later than the last note.
    let doubtful = this.#progress.lastRef !== undefined || this.#progress.done > 0 || this.#replay.state === "RUNNING";
    const gapMs = 1000 / this.#replay.rate;
    let due = performance.now();
    for await (const record of selectedEvents(store, this.#replay, this.#progress.lastRef)) {
      if (this.#over) return;
      const again = deliveriesAgain(record, this.#replay);
      if (again.length > 0) {
        const sent = doubtful && record.deliveries.some(({ replay }) => replay === this.#replay.name);
        doubtful &&= sent;
        if (!sent) {
          await sleep(Math.max(0, due - performance.now()), this.#options.signal);
          if (this.#over) return;
          due = Math.max(performance.now(), due) + gapMs;
        }
        const given = sent || (await this.#send(record, again));
        this.#progress = { ...this.#progress, ...(given ? { done: this.#progress.done + 1 } : this.#skipped()) };
      }
      this.#progress = { ...this.#progress, lastRef: record.event.ref, lastArrivedAt: record.event.arrivedAt };
      if (performance.now() - this.#notedAt >= NOTE_MS) await this.#note();
    }
  }

  #skipped() {
    return { skipped: this.#progress.skipped + 1 };
  }

  /** @returns false for an event that cannot go out: it, or its data, is not kept any more */
  async #send(record: EventRecord, again: ReturnType<typeof deliveriesAgain>): Promise<boolean> {
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
