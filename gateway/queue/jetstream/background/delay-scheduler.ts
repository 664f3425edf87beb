import { ClockJumps, steadyNow } from "../../../../kit/steady-clock.ts";
import { ensureConsumer, leavesBehind, removeConsumer } from "../../../nats/consumers.ts";
import { countSubjects } from "../../../nats/count-subjects.ts";
import { acknowledge, type Delivery, giveBack, Pull, stillWorking } from "../../../nats/pull.ts";
import { clearUp } from "../calls/clear-up.ts";
import { moveOn } from "../calls/move.ts";
import { lookUpPast } from "../calls/past.ts";
import { handleUnreadable } from "../calls/unreadable.ts";
import { SIGNALS, STREAMS } from "../client/names.ts";
import { decodeCall, idOf, type StoredCall } from "../store/call-codec.ts";
import {
  type Bucket,
  bucketFilter,
  functionQueueOfLater,
  isNear,
  parseBucket,
  parseLater,
} from "../store/later-bucket.ts";
import type { WorkerContext } from "./worker-context.ts";

const MAX_PENDING = 2000;
const BATCH = 256;
const INACTIVE_MS = 60_000;
/** Before a call that could not be put into its queue is tried again. */
const AGAIN_MS = 1000;
const POLL_MS = 2000;
/** What a process that vanished had in hand comes again after one. */
const PATIENCE_ACK_WAITS = 2;
/** Longer ones do not fit into a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Puts calls into their queues when their time has come. Any number of processes can do so at the same time. */
export class DelayScheduler {
  readonly #context: WorkerContext;
  readonly #open = new Map<string, OpenBucket>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #off: (() => void)[] = [];
  readonly #jumps: ClockJumps;
  #working: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(context: WorkerContext) {
    this.#context = context;
    this.#jumps = new ClockJumps(Date.now, steadyNow);
  }

  start(): void {
    const { link, settings } = this.#context;
    const signals = link.nc.subscribe(SIGNALS.later, { callback: (_err, msg) => this.#await(msg.string()) });
    const polling = setInterval(() => this.#look(), Math.max(POLL_MS, settings.pollMs));
    this.#working = setInterval(() => {
      for (const bucket of this.#open.values()) bucket.working();
    }, settings.ackWaitMs / 3);
    this.#off.push(
      () => signals.unsubscribe(),
      () => clearInterval(polling),
      link.onReconnect(() => this.#look()),
    );
    this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const off of this.#off) off();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all([...this.#open.values()].map((bucket) => bucket.close()));
    clearInterval(this.#working);
  }

  #look(): void {
    if (this.#jumps.take() > 0) this.#awaitAnew();
    if (!this.#context.link.connected) return;
    countSubjects(this.#context.link, STREAMS.later, "FAASLANE.later.>").then(
      (counts) => {
        const tokens = new Set([...counts.keys()].flatMap((subject) => parseLater(subject)?.token ?? []));
        for (const token of tokens) this.#await(token);
      },
      (err: unknown) => this.#context.settings.log.debug({ err }, "calls for later could not be looked through"),
    );
  }

  /** The clock was set forward: buckets may have begun. Set back, they open as they would have, for the retries in them. */
  #awaitAnew(): void {
    const tokens = [...this.#timers.keys()];
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    for (const token of tokens) this.#await(token);
  }

  /** Opens the bucket when it begins. */
  #await(token: string): void {
    const bucket = parseBucket(token);
    if (this.#closed || !bucket || this.#open.has(token) || this.#timers.has(token)) return;
    const waitMs = bucket.start * 1000 - Date.now();
    if (waitMs <= 0) this.#begin(token, bucket);
    else if (waitMs < MAX_TIMER_MS) {
      const timer = setTimeout(() => {
        this.#timers.delete(token);
        this.#begin(token, bucket);
      }, waitMs);
      this.#timers.set(token, timer);
    }
  }

  #begin(token: string, bucket: Bucket): void {
    const open = new OpenBucket(this.#context, token, bucket, () => this.#open.delete(token));
    this.#open.set(token, open);
    open.start();
  }
}

interface HeldForLater {
  /** The latest, should the server have delivered it again meanwhile. */
  delivery: Delivery;
  readonly timer: NodeJS.Timeout;
  /** Its way into its queue, once it has begun. Never rejects. */
  moving?: Promise<void>;
}

class OpenBucket {
  readonly #context: WorkerContext;
  readonly #token: string;
  readonly #startsAt: number;
  readonly #endsAt: number;
  readonly #onEmpty: () => void;
  readonly #pull: Pull;
  readonly #held = new Map<number, HeldForLater>();
  /** When a call has come last, by `performance.now()`. */
  #servedAt = performance.now();
  #closing: Promise<void> | undefined;

  constructor(context: WorkerContext, token: string, { start, widthS }: Bucket, onEmpty: () => void) {
    this.#context = context;
    this.#token = token;
    this.#startsAt = start * 1000;
    this.#endsAt = (start + widthS) * 1000;
    this.#onEmpty = onEmpty;
    this.#pull = new Pull(context.link, STREAMS.later, this.#name, {
      delivered: (delivery) => {
        this.#servedAt = performance.now();
        this.#take(delivery);
        this.#ask();
      },
      over: (lost) => (lost ? this.#end() : this.#nothingCame()),
    });
  }

  /** Of the consumer. */
  get #name(): string {
    return `bucket-${this.#token}`;
  }

  start(): void {
    ensureConsumer(this.#context.link, {
      stream: STREAMS.later,
      name: this.#name,
      subject: bucketFilter(this.#token),
      maxPending: MAX_PENDING,
      ackWaitMs: this.#context.settings.ackWaitMs,
      inactiveMs: INACTIVE_MS,
    }).then(
      () => {
        this.#ask();
        // The server may have been started anew.
        void this.#checkFloor();
      },
      (err: unknown) => {
        this.#context.settings.log.debug({ err, bucket: this.#token }, "calls for later cannot be read yet");
        this.#end();
      },
    );
  }

  working(): void {
    for (const { delivery } of this.#held.values()) stillWorking(this.#context.link, delivery);
  }

  /** Hands back what has not gone into its queue by then. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#pull.close();
    const moving: Promise<void>[] = [];
    for (const held of this.#held.values()) {
      clearTimeout(held.timer);
      if (held.moving) moving.push(held.moving);
    }
    await Promise.all(moving);
    for (const { delivery } of this.#held.values()) giveBack(this.#context.link, delivery);
    this.#held.clear();
  }

  #ask(): void {
    if (!this.#closing && this.#pull.outstanding === 0) this.#pull.ask(BATCH, this.#context.settings.pollMs);
    // Without a connection nothing was asked; the look after the next one begins anew.
    if (!this.#closing && this.#pull.outstanding === 0) this.#end();
  }

  /** A call that comes after all is seen by the next look through the stream. */
  #nothingCame(): void {
    if (this.#held.size > 0) {
      this.#ask();
      return;
    }
    const silentMs = performance.now() - this.#servedAt;
    if (Date.now() <= this.#endsAt && silentMs < PATIENCE_ACK_WAITS * this.#context.settings.ackWaitMs) this.#ask();
    else void this.#checkFloor().then(() => this.#end());
  }

  /** What the stream still has and its consumer gives to nobody would open it again and again. */
  async #checkFloor(): Promise<void> {
    const { link, settings } = this.#context;
    const consumer = { stream: STREAMS.later, name: this.#name, subject: bucketFilter(this.#token) };
    try {
      // Whoever has some of them after all moves them too, and what moves twice is stored once.
      if (await leavesBehind(link, consumer)) await removeConsumer(link, consumer);
    } catch (err) {
      settings.log.debug({ err, bucket: this.#token }, "what is left of a bucket could not be looked at");
    }
  }

  #end(): void {
    if (this.#closing) return;
    this.close()
      .catch((err: unknown) => this.#context.settings.log.debug({ err }, "closing a bucket failed"))
      .finally(this.#onEmpty);
  }

  #take(delivery: Delivery): void {
    const known = this.#held.get(delivery.seq);
    if (known) {
      known.delivery = delivery;
      return;
    }
    let stored: StoredCall;
    try {
      stored = decodeCall(delivery.data);
    } catch (err) {
      void handleUnreadable(this.#context, err, delivery, { functionQueue: functionQueueOfLater(delivery.subject) });
      return;
    }
    const now = Date.now();
    const due = adaptWait(stored, this.#startsAt, now);
    const dueAt = due.dueAt ?? now;
    if (!isNear(dueAt, now)) this.#moveAfter(delivery, due, 0);
    else this.#moveAfter(delivery, isRetry(due) ? withoutWait(due) : due, Math.max(0, dueAt - now));
  }

  #moveAfter(delivery: Delivery, stored: StoredCall, waitMs: number): void {
    const timer = setTimeout(() => {
      held.moving = this.#move(held.delivery, stored).then(
        () => void this.#held.delete(delivery.seq),
        (err: unknown) => {
          this.#context.settings.log.debug({ err }, "a call could not be put into its queue yet");
          if (!this.#closing) this.#moveAfter(held.delivery, stored, AGAIN_MS);
        },
      );
    }, waitMs);
    const held: HeldForLater = { delivery, timer };
    this.#held.set(delivery.seq, held);
  }

  async #move(place: Delivery, stored: StoredCall): Promise<void> {
    const id = idOf(stored, place.seq, this.#context.ids);
    const past = await lookUpPast(this.#context, id, place, stored);
    if (past.kind === "ended") await clearUp(this.#context, { id, stored, record: past.record });
    if (past.kind === "open") await moveOn(this.#context, { id, place, stored, open: past.record });
    acknowledge(this.#context.link, place);
  }
}

/**
 * A call as it is to wait on. Its bucket has been opened at the right time by a timer; if that is not so by the system's
 * clock, this was set back meanwhile, which must not make the wait before an attempt longer.
 */
function adaptWait(stored: StoredCall, bucketStartsAt: number, now: number): StoredCall {
  const { dueAt } = stored;
  const setBackBy = bucketStartsAt - now;
  return dueAt !== undefined && isRetry(stored) && setBackBy > 1000 ? { ...stored, dueAt: dueAt - setBackBy } : stored;
}

/** Whether it waits for its next attempt; others wait for a time by the clock that somebody has named. */
function isRetry({ attempts, refused, callback }: StoredCall): boolean {
  return attempts > 0 || refused !== undefined || callback !== undefined;
}

/** A wait that a timer has measured is over, though the clock is set back meanwhile. */
function withoutWait({ dueAt: _, ...stored }: StoredCall): StoredCall {
  return stored;
}
