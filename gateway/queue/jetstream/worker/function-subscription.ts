import type { FunctionRef } from "../../../../contract/functions.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { ensureConsumer, leavesBehind, removeConsumer } from "../../../nats/consumers.ts";
import { type Delivery, Pull } from "../../../nats/pull.ts";
import type { FunctionQueue as ClaimQueue } from "../../worker/store.ts";
import type { WorkerContext } from "../background/worker-context.ts";
import { consumerName, type FunctionQueueRef, functionQueueSubject, queueStream } from "../client/names.ts";
import { functionIn } from "../store/activity.ts";
import { shareOfLimit } from "../store/limit-share.ts";
import { SlotlessRoom } from "./slotless-room.ts";

/** Longer than any pause between signs of life, see {@link FunctionSubscription.tick}. */
const INACTIVE_MS = 60 * 60_000;
const KEEP_ALIVE_MS = 60_000;
/** What a process that vanished had in hand comes again after one. */
const PATIENCE_ACK_WAITS = 2;
const LIMIT_EVERY_MS = 1000;
/** While there is room for calls without a slot: a process that knew of none of them may have taken it away. */
const ROOM_AGAIN_MS = 60_000;
/** Calls asked for at a time. */
const MAX_BATCH = 256;
const MEND_MIN_MS = 200;
const MEND_MAX_MS = 5000;
/** Before a consumer is made again: another process may be removing it. */
const LOST_WAIT_MS = 100;

export interface FunctionSubscriptionEvents {
  /** @param expected whether it is one of those that {@link FunctionSubscription.ask} said are on their way */
  delivered(subscription: FunctionSubscription, delivery: Delivery, expected: boolean): void;
  /** So many calls that were asked for do not come. */
  missed(subscription: FunctionSubscription, count: number): void;
  /** It can be asked for more. */
  askable(subscription: FunctionSubscription): void;
}

/** The calls of one function, from its consumer on the server. */
export class FunctionSubscription implements ClaimQueue {
  readonly functionQueue: FunctionQueueRef;
  readonly subject: string;
  readonly ref: FunctionRef;
  /** Names the function, whatever the queue. */
  readonly functionKey: string;
  /** Calls in the hands of this process that wait or are under way. */
  held = 0;
  /** Calls on the server, as far as is known. */
  backlog = 0;
  lastUsedAt = performance.now();
  /** Asks no more. It can be closed when nothing is expected and it is idle still. */
  retiring = false;
  readonly #context: WorkerContext;
  readonly #events: FunctionSubscriptionEvents;
  readonly #pull: Pull;
  readonly #closed = new AbortController();
  readonly #room = new SlotlessRoom();
  #ready = false;
  #mending = false;
  /** Calls that are on their way because there is known to be work. */
  #expected = 0;
  /** As the server has it. */
  #limit = 0;
  #limitAt = Number.NEGATIVE_INFINITY;
  #limiting = false;
  /** In the stream, those in hand among them. */
  #calls = 0;
  /** When a call has come last, or there was reason to look why none does. */
  #servedAt = performance.now();
  #aliveAt = performance.now();

  constructor(context: WorkerContext, functionQueue: FunctionQueueRef, events: FunctionSubscriptionEvents) {
    this.#context = context;
    this.functionQueue = functionQueue;
    this.subject = functionQueueSubject(functionQueue);
    this.ref = { name: functionQueue.name, namespace: functionQueue.namespace };
    this.functionKey = functionIn(this.subject);
    this.#events = events;
    this.#pull = new Pull(context.link, queueStream(functionQueue.queue), consumerName(this.subject), {
      delivered: (delivery) => {
        this.backlog = delivery.pending;
        this.#servedAt = performance.now();
        const expected = this.#expected > 0;
        if (expected) this.#expected--;
        events.delivered(this, delivery, expected);
      },
      over: (lost) => this.#over(lost),
    });
  }

  get key(): string {
    return this.subject;
  }

  get callbacks(): boolean {
    return this.functionQueue.callbacks === true;
  }

  /** Calls that can be asked for now; one even where none is known, which may come at any time. */
  get claimable(): number {
    return Math.min(MAX_BATCH, Math.max(1, this.backlog));
  }

  /** A call may come at any time. */
  get asking(): boolean {
    return this.#pull.outstanding > 0;
  }

  get askable(): boolean {
    return this.#ready && !this.asking && !this.retiring && !this.#closed.signal.aborted;
  }

  /** Makes the consumer on the server. To be called once. */
  open(limit: number): void {
    this.#limit = Math.max(1, limit) + this.#roomForSlotless(performance.now());
    void this.#mend().then(() => this.#checkFloor());
  }

  /**
   * Part of the function's limit that this process keeps to. The server sees to it, but where it has room for more, and for
   * each queue by itself. Calls in two queues may go on in two processes whatever the limit, lest one waits for ever.
   * @param inMany whether this process takes calls of the function from other queues, too
   */
  shareOf(limit: number, inMany: boolean): number {
    if (this.callbacks) return limit;
    const { activity } = this.#context;
    const now = performance.now();
    const sharers = activity.sharersOfFunction(this, inMany, now);
    if (sharers.length > 0) return Math.min(limit, Math.max(1, shareOfLimit(limit, activity.self, sharers)));
    if (this.#room.latest === 0) return limit;
    return shareOfLimit(limit, activity.self, activity.sharers(this.subject, now));
  }

  /**
   * Where none is known to be there, one call is asked for that may come at any time and says how many follow. It takes
   * no slot while it does not, so it is none of those that are on their way.
   * @param count how many calls there is room for
   * @returns how many are on their way
   */
  ask(count: number): number {
    const batch = Math.min(count, Math.max(1, this.backlog));
    this.#aliveAt = performance.now();
    // Others may have taken what there was. Short, as closing has to wait for it.
    this.#pull.ask(batch, this.#context.settings.pollMs);
    this.#expected = this.backlog > 0 ? this.#pull.outstanding : 0;
    return this.#expected;
  }

  /** @param calls that the stream counts, those in hand among them */
  counted(calls: number): void {
    this.#calls = calls;
    const backlog = calls - this.held - this.#expected;
    if (backlog > 0 && this.backlog === 0) this.backlog = backlog;
  }

  /** The limit holds over all processes, as the server keeps it; 0 is kept by not asking. */
  setLimit(limit: number): void {
    const now = performance.now();
    if (!this.#ready || this.#limiting || now - this.#limitAt < LIMIT_EVERY_MS) return;
    const room = this.#roomForSlotless(now);
    const wanted = Math.max(1, limit) + room;
    if (wanted === this.#limit && (room === 0 || now - this.#limitAt < ROOM_AGAIN_MS)) return;
    this.#limitAt = now;
    this.#limiting = true;
    this.#ensure(wanted)
      .catch((err: unknown) =>
        this.#context.settings.log.debug({ err, ...this.functionQueue }, "a limit could not be set"),
      )
      .finally(() => {
        this.#limiting = false;
      });
  }

  #roomForSlotless(now: number): number {
    return this.#room.for(this.#context.activity.free(this.subject, performance.now()), now);
  }

  /** To be called every second or so. */
  tick(): void {
    if (this.#pull.outstanding > 0 || !this.#ready) return;
    const now = performance.now();
    if (now - this.#aliveAt < KEEP_ALIVE_MS) return;
    this.#aliveAt = now;
    this.#pull.keepAlive();
  }

  /** The connection is a new one: what was asked for over the old one does not come. */
  reconnected(): void {
    this.#pull.reset();
    this.#servedAt = performance.now();
    this.#missed();
    if (!this.#ready) return;
    this.#events.askable(this);
    void this.#checkFloor();
  }

  /** Resolves when nothing comes any more. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#pull.close();
  }

  #missed(): void {
    const count = this.#expected;
    this.#expected = 0;
    if (count > 0) this.#events.missed(this, count);
  }

  #over(lost: boolean): void {
    this.#missed();
    if (lost) {
      void this.#mend(LOST_WAIT_MS);
      return;
    }
    this.backlog = 0;
    this.#events.askable(this);
    const now = performance.now();
    if (this.#calls === 0 || now - this.#servedAt < PATIENCE_ACK_WAITS * this.#context.settings.ackWaitMs) return;
    // Its floor may have risen above calls that were in the way before.
    this.#servedAt = now;
    void this.#checkFloor();
  }

  /** Its consumer may have forgotten calls that the stream has: see {@link leavesBehind}. */
  async #checkFloor(): Promise<void> {
    try {
      if (await leavesBehind(this.#context.link, this.#consumer)) await this.#renew();
    } catch (err) {
      // What it leaves behind is looked for again as long as nothing comes.
      this.#context.settings.log.debug({ err, ...this.functionQueue }, "a consumer could not be looked at");
    }
  }

  /** All calls of the function queue are given out anew, and looked up before they are run. */
  async #renew(): Promise<void> {
    if (this.#closed.signal.aborted || this.#mending) return;
    const { link, server, settings } = this.#context;
    // A request under way is told first that its consumer goes, and servers lose one that is made before the old one is gone.
    this.#mending = true;
    this.#ready = false;
    server.distrust();
    settings.log.warn(this.functionQueue, "calls that nobody got are given out anew");
    try {
      await removeConsumer(link, this.#consumer);
    } catch (err) {
      settings.log.debug({ err, ...this.functionQueue }, "a consumer could not be removed yet");
    }
    this.#mending = false;
    await this.#mend();
  }

  /** Until the consumer is there, however long that takes. */
  async #mend(afterMs = 0): Promise<void> {
    if (this.#mending) return;
    this.#mending = true;
    this.#ready = false;
    const { signal } = this.#closed;
    await sleep(afterMs, signal);
    for (let waitMs = MEND_MIN_MS; !signal.aborted; waitMs = Math.min(MEND_MAX_MS, waitMs * 2)) {
      try {
        await this.#ensure(this.#limit);
        this.#ready = true;
        break;
      } catch (err) {
        this.#context.settings.log.debug({ err, ...this.functionQueue }, "a consumer cannot be made yet");
        await sleep(waitMs * (0.5 + Math.random()), signal);
      }
    }
    this.#mending = false;
    if (this.#ready && !signal.aborted) this.#events.askable(this);
  }

  get #consumer() {
    return { stream: queueStream(this.functionQueue.queue), name: consumerName(this.subject), subject: this.subject };
  }

  async #ensure(limit: number): Promise<void> {
    const { settings, link } = this.#context;
    const info = await ensureConsumer(link, {
      ...this.#consumer,
      maxPending: limit,
      ackWaitMs: settings.ackWaitMs,
      inactiveMs: INACTIVE_MS,
    });
    this.#limit = limit;
    this.backlog = Math.max(this.backlog, info.num_pending);
  }
}
