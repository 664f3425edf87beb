import { FaasError } from "../../../../contract/errors.ts";
import { shortageOf } from "../../../../contract/shortages.ts";
import { isDamage } from "../../../../kit/embedded-database.ts";
import type { FreeSpace } from "../../../../kit/free-space.ts";
import { PersistentClock } from "../../../../kit/persistent-clock.ts";
import type { SpareSpace } from "../../../../kit/spare-space.ts";
import { ONCE_MS } from "../../event-store.ts";
import type { EventFile } from "../db/event-file.ts";
import { EventTable } from "../db/event-table.ts";
import type {
  EmbeddedEventSettings,
  EventAnswers,
  EventAskKind,
  EventClaimAnswer,
  EventRefusal,
  EventRequest,
  FromEventThread,
  ToEventThread,
} from "../protocol.ts";
import { EventAsks, isEventChange } from "./asks.ts";
import { EventChanges } from "./changes.ts";
import { EventDispatch } from "./dispatch.ts";
import { EventReader } from "./reader.ts";
import { EventRetention } from "./retention.ts";

type Batch = Extract<ToEventThread, { kind: "batch" }>;

/** A request with what travelled beside it. */
interface Item<R extends EventRequest = EventRequest> {
  readonly request: R;
  readonly bodies: ArrayBuffer;
}
type RequestOf<K extends EventRequest["kind"]> = Extract<EventRequest, { kind: K }>;

/** Longest sleep: a clock that is set is noticed after this time. */
const MAX_SLEEP_MS = 60_000;
/** Pause before the next try while the disk refuses to store. */
const STORAGE_RETRY_MS = 1000;
/** How long lists are answered at a time. */
const LISTS_MS = 15;
const NOTHING = {
  kind: "stored",
  appended: [],
  refused: [],
  answers: [],
  claims: [],
  ready: [],
  pending: [],
  abort: [],
} as const;
/** Pause between transactions that only remove what is old. */
const SWEEP_PAUSE_MS = 20;

/** What one transaction answers. */
interface Replies {
  readonly appended: (readonly [name: number, places: readonly (readonly [seq: number, known: boolean])[]])[];
  readonly refused: (readonly [name: number, refusal: EventRefusal])[];
  readonly answers: (readonly [name: number, value: EventAnswers[EventAskKind]])[];
}

/**
 * The embedded store of events without its thread: takes what has arrived since the last time, makes all of it one
 * transaction, and tells the results.
 */
export class EventStoreEngine {
  readonly #file: EventFile;
  readonly #spare: Pick<SpareSpace, "held" | "release">;
  readonly #clock: PersistentClock;
  readonly #post: (message: FromEventThread) => void;
  readonly #space: Pick<FreeSpace, "take">;
  readonly #steady: () => number;
  readonly #dispatch: EventDispatch;
  readonly #retention: EventRetention;
  readonly #changes: EventChanges;
  readonly #asks: EventAsks;
  /** Brokers whose owners know that they have something to route. */
  readonly #told = new Set<number>();
  /** Settlements and routings that are not on disk yet. */
  #unstored: Item<RequestOf<"settle" | "route">>[] = [];
  #jumped = 0;
  /** New events were refused by the disk, and none has been stored since. */
  #failing = false;
  /** Not even what is there already can be settled; to be tried again. */
  #stuck = false;
  #short = false;
  /** To be answered. */
  readonly #lists: RequestOf<"ask">[] = [];

  constructor(
    file: EventFile,
    spare: Pick<SpareSpace, "held" | "release">,
    settings: EmbeddedEventSettings,
    now: () => number,
    steady: () => number,
    post: (message: FromEventThread) => void,
    space: Pick<FreeSpace, "take">,
  ) {
    this.#file = file;
    this.#spare = spare;
    this.#steady = steady;
    this.#post = post;
    this.#space = space;
    const { brokers, events, deliveries } = file;
    const knownMs = [...brokers.all()].map(({ limits }) => limits.maxAgeMs);
    this.#clock = new PersistentClock(now, steady, Math.max(ONCE_MS, ...knownMs));
    file.transaction(() => deliveries.boundWaits(now()), false);
    this.#dispatch = new EventDispatch(deliveries, brokers);
    this.#retention = new EventRetention(file.db, brokers, events);
    this.#changes = new EventChanges({
      brokers,
      events,
      deliveries,
      dispatch: this.#dispatch,
      retention: this.#retention,
      keepDataBytes: settings.keepDataBytes,
    });
    this.#asks = new EventAsks({
      file,
      changes: this.#changes,
      reader: new EventReader({ db: file.db, brokers, events, deliveries, dispatch: this.#dispatch }),
      retention: this.#retention,
      drained: (broker) => this.#told.delete(broker),
    });
    for (const { no, pending } of brokers.all()) if (pending > 0) this.#changes.pending.add(no);
  }

  /** Does all that has arrived. */
  handle(batches: readonly Batch[]): void {
    this.#jumped += this.#clock.takeJump();
    const items = batches.flatMap(({ requests, bodies }) => requests.map((request): Item => ({ request, bodies })));
    const appends = items.filter((item): item is Item<RequestOf<"append">> => item.request.kind === "append");
    this.#unstored.push(...items.filter(isSettling));
    const asks = items.flatMap(({ request }) => (request.kind === "ask" ? [request] : []));
    const replies = this.#commit(
      appends,
      asks.filter(({ ask }) => isEventChange(ask)),
    );
    const { now } = this.#clock;
    for (const request of asks) {
      if (request.ask.kind === "list") this.#lists.push(request);
      else if (!isEventChange(request.ask)) replies.answers.push([request.name, this.#asks.answer(request.ask, now)]);
    }
    const claims: EventClaimAnswer[] = [];
    for (const { request } of items) {
      if (request.kind !== "claim") continue;
      for (const [trigger, count] of request.claims) {
        claims.push(this.#dispatch.claim(request.consumer, trigger, count, now));
      }
    }
    const ready = this.#dispatch.takeReady(now);
    const pending = this.#takePending();
    const abort = this.#changes.abort;
    this.#changes.abort = [];
    const { appended, refused, answers } = replies;
    if (
      appended.length +
      refused.length +
      answers.length +
      claims.length +
      ready.length +
      pending.length +
      abort.length
    )
      this.#post({ kind: "stored", appended, refused, answers, claims, ready, pending, abort });
    this.#answerLists(now);
  }

  /** Some of them, as each takes a while: who brings events must not wait for all that are looked for. */
  #answerLists(now: number): void {
    const until = this.#steady() + LISTS_MS;
    while (this.#lists.length > 0) {
      const { name, ask } = this.#lists.shift() as RequestOf<"ask">;
      this.#post({ ...NOTHING, answers: [[name, this.#asks.answer(ask, now)]] });
      if (this.#steady() >= until) return;
    }
  }

  /** Milliseconds until {@link handle} is to be called without a message; undefined while nothing is to come. */
  get sleepMs(): number | undefined {
    if (this.#lists.length > 0) return 0;
    if (this.#stuck) return STORAGE_RETRY_MS;
    const { now, sure } = this.#clock;
    const due = this.#dispatch.nextDue;
    const sweep = this.#retention.nextAt;
    const waits = [
      ...(due === undefined ? [] : [due - now]),
      ...(sweep === undefined ? [] : [Math.max(SWEEP_PAUSE_MS, sweep - sure)]),
    ];
    return waits.length === 0 ? undefined : Math.min(MAX_SLEEP_MS, Math.max(0, Math.ceil(Math.min(...waits))));
  }

  #takePending(): (readonly [broker: number, ref: { namespace: string; name: string }])[] {
    const pending = [...this.#changes.pending].filter((no) => !this.#told.has(no));
    this.#changes.pending.clear();
    for (const no of pending) this.#told.add(no);
    return pending.map((no) => [no, this.#file.brokers.get(no).ref] as const);
  }

  #commit(appends: readonly Item<RequestOf<"append">>[], changes: readonly RequestOf<"ask">[]): Replies {
    const shortage = this.#shortage(appends);
    if (shortage !== undefined) return this.#withoutNew(appends, changes, shortage);
    try {
      return this.#attempt(appends, changes);
    } catch (error) {
      if (isDamage(error)) throw error;
      if (!shortageOf(error)) return this.#oneByOne(appends, changes);
      this.#noteFailure(error);
      // Where there is no room for new events, old ones can often still be settled, which makes room.
      return this.#withoutNew(appends, changes, reasonOf(error));
    }
  }

  #withoutNew(
    appends: readonly Item<RequestOf<"append">>[],
    changes: readonly RequestOf<"ask">[],
    reason: string,
  ): Replies {
    const refusal: EventRefusal = { kind: "unavailable", message: `events cannot be stored now: ${reason}` };
    const refused = appends.map(({ request }) => [request.name, refusal] as const);
    try {
      const replies = this.#withSpare(() => this.#attempt([], changes));
      return { ...replies, refused: [...replies.refused, ...refused] };
    } catch (error) {
      if (isDamage(error)) throw error;
      if (!shortageOf(error)) {
        const replies = this.#oneByOne([], changes);
        return { ...replies, refused: [...replies.refused, ...refused] };
      }
      this.#noteFailure(error);
      this.#stuck = true;
      return {
        appended: [],
        answers: [],
        refused: [...refused, ...changes.map(({ name }) => [name, refusal] as const)],
      };
    }
  }

  /** One of them can never be stored; that must not keep the others from it. */
  #oneByOne(appends: readonly Item<RequestOf<"append">>[], changes: readonly RequestOf<"ask">[]): Replies {
    const replies: Replies = { appended: [], refused: [], answers: [] };
    const settling = this.#unstored;
    this.#unstored = [];
    const left: typeof settling = [];
    const attempt = (work: () => Replies, name?: number): unknown => {
      try {
        const { appended, refused, answers } = work();
        replies.appended.push(...appended);
        replies.refused.push(...refused);
        replies.answers.push(...answers);
        return undefined;
      } catch (error) {
        if (isDamage(error)) throw error;
        const kind = shortageOf(error) ? "unavailable" : "internal";
        this.#noteFailure(error);
        this.#unstored = [];
        if (name !== undefined)
          replies.refused.push([name, { kind, message: `it cannot be stored: ${reasonOf(error)}` }]);
        return error;
      }
    };
    for (const item of settling) {
      const failure = attempt(() => {
        this.#unstored = [item];
        return this.#attempt([], []);
      });
      if (failure === undefined) continue;
      if (shortageOf(failure)) left.push(item);
      else if (item.request.kind === "settle") this.#dispatch.back(item.request.delivery);
    }
    for (const ask of changes) attempt(() => this.#attempt([], [ask]), ask.name);
    for (const item of appends) attempt(() => this.#attempt([item], []), item.request.name);
    this.#unstored = left;
    this.#stuck = left.length > 0;
    return replies;
  }

  #shortage(appends: readonly Item<RequestOf<"append">>[]): string | undefined {
    if (appends.length === 0) return undefined;
    if (!this.#spare.held) return "the disk is full";
    let bytes = 0;
    for (const { request } of appends) for (const event of request.events) bytes += EventTable.bytesOf(event);
    const shortage = this.#space.take(bytes, this.#steady());
    if (shortage !== undefined && !this.#short) this.#log("error", "no new events are taken", { reason: shortage });
    this.#short = shortage !== undefined;
    return shortage;
  }

  /** Does `work`, and if that fails once more with the spare space given up. */
  #withSpare<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!shortageOf(error)) throw error;
      if (this.#spare.release())
        this.#log("error", "the disk is full; the events live on their reserve, and no new ones are taken", {});
      try {
        // At once, before others have taken what was given up; and the log then begins anew in the room that it has.
        this.#file.checkpoint();
      } catch (failure) {
        if (isDamage(failure)) throw failure;
      }
      return work();
    }
  }

  /** @throws what the database threw, with everything left as it was */
  #attempt(appends: readonly Item<RequestOf<"append">>[], changes: readonly RequestOf<"ask">[]): Replies {
    const replies: Replies = { appended: [], refused: [], answers: [] };
    const { now, sure } = this.#clock;
    const times = { now, sure };
    const sweeping = this.#retention.nextAt !== undefined && this.#retention.nextAt <= sure;
    if (appends.length + changes.length + this.#unstored.length === 0 && !sweeping && this.#jumped === 0) {
      this.#stuck = false;
      return replies;
    }
    this.#dispatch.begin();
    try {
      // What somebody waits for must not be undone. What became of deliveries may be, by a loss of power: they are made again.
      this.#file.transaction(
        () => {
          if (this.#jumped !== 0) this.#file.deliveries.shift(this.#jumped);
          for (const { request, bodies } of this.#unstored) {
            if (request.kind === "settle") this.#changes.settle(request.delivery, request.settlement, bodies, times);
            else for (const routing of request.routings) this.#changes.route(routing, now);
          }
          for (const { name, ask } of changes)
            this.#refusing(name, replies, () => replies.answers.push([name, this.#asks.answer(ask, now)]));
          for (const { request, bodies } of appends) {
            this.#refusing(request.name, replies, () =>
              replies.appended.push([request.name, this.#changes.append(request.events, bodies, times)]),
            );
          }
          if (sweeping) this.#retention.sweep(sure, (seq, reason) => this.#changes.expire(seq, reason));
        },
        appends.length + changes.length > 0,
      );
    } catch (error) {
      this.#dispatch.undo();
      this.#changes.abort = [];
      throw error;
    }
    if (this.#jumped !== 0) this.#dispatch.lookAtAll();
    this.#jumped = 0;
    this.#unstored = [];
    this.#stuck = false;
    if (this.#failing && appends.length > 0) {
      this.#failing = false;
      this.#log("info", "events can be stored again", {});
    }
    return replies;
  }

  #refusing(name: number, replies: Replies, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof FaasError)) throw error;
      const { kind, message, code } = error;
      replies.refused.push([name, { kind, message, code }]);
    }
  }

  /** @throws the error itself when the database is damaged: nothing more can be promised then */
  #noteFailure(error: unknown): void {
    if (isDamage(error)) throw error;
    if (!this.#failing) this.#log("error", "events cannot be stored", { reason: reasonOf(error) });
    this.#failing = true;
  }

  #log(level: "info" | "warn" | "error", message: string, facts: object): void {
    this.#post({ kind: "log", level, message, facts });
  }
}

function isSettling(item: Item): item is Item<RequestOf<"settle" | "route">> {
  return item.request.kind === "settle" || item.request.kind === "route";
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
