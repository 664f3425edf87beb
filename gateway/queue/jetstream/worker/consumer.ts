import { setTimeout as delay } from "node:timers/promises";
import type { FunctionRef } from "../../../../contract/functions.ts";
import type { ConsumeOptions, Consumer, Deliver, Place } from "../../queue.ts";
import { Aside, type Hold } from "../../worker/aside.ts";
import { placesFor } from "../../worker/places.ts";
import type { StartOrder } from "../../worker/start-order.ts";
import { BatchKeeper } from "../background/batch-keeper.ts";
import { LaterKeeper } from "../background/later-keeper.ts";
import { setAside } from "../calls/unreadable.ts";
import { type Lane, laneSubject, SIGNALS } from "../client/names.ts";
import { type Delivery, stillWorking } from "../client/pull.ts";
import { decodeCall, idOf, type StoredCall } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import { type Conclusion, HeldCall } from "../store/held-call.ts";
import { attempt } from "./attempt.ts";
import { Discovery } from "./discovery.ts";
import { LaneFeed } from "./lane-feed.ts";
import { askForMore } from "./requests.ts";
import { Settlement } from "./settlement.ts";

/** How long an aborted attempt may take to end before its call is handed back all the same. */
const ABORT_GRACE_MS = 1000;
/** How long closing waits for what is to be stored. What is not is delivered again, which is allowed. */
const SETTLE_TIMEOUT_MS = 5000;
const TICK_MS = 500;
/** A function without calls for so long is left to the signals. */
const IDLE_MS = 120_000;
const CANCELLED_MS = 10_000;

/** Gives the calls of all functions their turns in this process. */
export class JetStreamConsumer implements Consumer {
  readonly #context: Context;
  readonly #deliver: Deliver;
  readonly #options: ConsumeOptions;
  readonly #settlement: Settlement;
  readonly #discovery: Discovery;
  readonly #later: LaterKeeper;
  readonly #batches: BatchKeeper;
  /** In the order of their turns. */
  readonly #feeds = new Map<string, LaneFeed>();
  /** By the place of the message. */
  readonly #held = new Map<string, HeldCall>();
  readonly #byId = new Map<string, HeldCall>();
  readonly #attempts = new Map<HeldCall, Promise<void>>();
  /** Of late, and when. */
  readonly #cancelled = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #off: (() => void)[] = [];
  readonly #onClosed: () => void;
  readonly #aside: Aside;
  /** Places taken by calls under way. */
  #running = 0;
  #waiting = 0;
  #turning = false;
  #closing: Promise<void> | undefined;
  /** Resolves when this process is delivered nothing any more, once it closes; never rejects. */
  #deaf: Promise<unknown> | undefined;

  constructor(context: Context, deliver: Deliver, options: ConsumeOptions, onClosed: () => void) {
    this.#context = context;
    this.#deliver = deliver;
    this.#options = options;
    this.#onClosed = onClosed;
    this.#aside = new Aside(options.concurrency);
    this.#settlement = new Settlement(context);
    this.#discovery = new Discovery(
      context,
      options.queues,
      (lane, calls) => this.#found(lane, calls),
      (queue, counts) => this.#looked(queue, counts),
    );
    this.#later = new LaterKeeper(context);
    this.#batches = new BatchKeeper(context, options.finishBatch);
  }

  start(): void {
    const { link, settings } = this.#context;
    const cancels = link.nc.subscribe(SIGNALS.cancel, {
      callback: (_err, msg) => this.#cancel(msg.string()),
    });
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    const working = setInterval(() => {
      for (const held of this.#held.values()) stillWorking(link, held.delivery);
    }, settings.ackWaitMs / 3);
    this.#off.push(
      () => cancels.unsubscribe(),
      () => clearInterval(ticking),
      link.onReconnect(() => {
        for (const feed of this.#feeds.values()) feed.reconnected();
      }),
    );
    this.#stop.signal.addEventListener("abort", () => clearInterval(working));
    this.#discovery.start();
    this.#later.start();
    this.#batches.start();
  }

  limitChanged(ref: FunctionRef): void {
    for (const feed of this.#feeds.values()) {
      if (feed.lane.name === ref.name && feed.lane.namespace === ref.namespace) feed.setLimit(this.#limitOf(feed));
    }
    this.#turnSoon();
  }

  close(drainTimeoutMs: number): Promise<void> {
    this.#closing ??= this.#close(drainTimeoutMs);
    return this.#closing;
  }

  async #close(drainTimeoutMs: number): Promise<void> {
    for (const off of this.#off) off();
    this.#discovery.close();
    const feeds = [...this.#feeds.values()];
    this.#deaf = Promise.allSettled(feeds.map((feed) => feed.close()));
    for (const held of feeds.flatMap((feed) => feed.waiting.splice(0))) void this.#settle(held, { kind: "back" });
    const closing = Promise.all([this.#deaf, this.#later.close(), this.#batches.close()]);
    await within(drainTimeoutMs, this.#ended());
    for (const held of this.#attempts.keys()) held.abort.abort(new Error("the worker stops"));
    await within(ABORT_GRACE_MS, this.#ended());
    for (const held of this.#attempts.keys()) held.abandoned.resolve({ kind: "back" });
    await this.#ended();
    await within(SETTLE_TIMEOUT_MS, Promise.all([closing, this.#settlement.idle()]));
    this.#stop.abort();
    await this.#settlement.idle();
    if (this.#context.link.connected) await within(SETTLE_TIMEOUT_MS, this.#context.link.flush());
    this.#onClosed();
  }

  async #ended(): Promise<void> {
    await Promise.all(this.#attempts.values());
  }

  #cancel(id: string): void {
    this.#byId.get(id)?.cancel(ABORT_GRACE_MS);
    // Its message may be on its way still.
    this.#cancelled.set(id, performance.now());
  }

  #tick(): void {
    const now = performance.now();
    for (const [id, at] of this.#cancelled) {
      if (now - at < CANCELLED_MS) break;
      this.#cancelled.delete(id);
    }
    for (const [subject, feed] of this.#feeds) {
      const limit = this.#limitOf(feed);
      feed.setLimit(limit);
      feed.tick();
      // Not while there is a request under way: what it brings would be nobody's.
      feed.retiring = feed.held + feed.backlog === 0 && now - feed.lastUsedAt > IDLE_MS;
      if (!feed.retiring || feed.asking) continue;
      this.#feeds.delete(subject);
      feed.close().catch((err: unknown) => this.#context.settings.log.debug({ err }, "closing a feed failed"));
    }
    this.#turnSoon();
  }

  /** @param calls on the server, those under way among them; undefined when only that there are some is known */
  #found(lane: Lane, calls: number | undefined): void {
    if (this.#closing) return;
    const subject = laneSubject(lane);
    let feed = this.#feeds.get(subject);
    if (!feed) {
      feed = new LaneFeed(this.#context, lane, {
        delivered: (from, delivery) => this.#delivered(from, delivery),
        askable: () => this.#turnSoon(),
      });
      this.#feeds.set(subject, feed);
      feed.open(this.#limitOf(feed));
    }
    if (calls !== undefined) feed.counted(calls);
    else if (feed.retiring) {
      feed.retiring = false;
      feed.lastUsedAt = performance.now();
    }
    if (feed.backlog > 0 || calls === undefined) this.#turnSoon();
  }

  /** Functions that have nothing in the queue are not found. */
  #looked(queue: string, counts: ReadonlyMap<string, number>): void {
    for (const feed of this.#feeds.values()) {
      if (feed.lane.queue === queue && !counts.has(feed.subject)) feed.counted(0);
    }
  }

  #delivered(feed: LaneFeed, delivery: Delivery): void {
    feed.lastUsedAt = performance.now();
    const place = `${delivery.stream}:${delivery.seq}`;
    const known = this.#held.get(place);
    if (known) {
      // The server thinks this process has lost it; acknowledgements go to its latest delivery.
      known.delivery = delivery;
    } else {
      this.#take(feed, delivery, place);
    }
    this.#turnSoon();
  }

  #take(feed: LaneFeed, delivery: Delivery, place: string): void {
    let stored: StoredCall;
    try {
      stored = decodeCall(delivery.data);
    } catch (err) {
      void setAside(this.#context, err, delivery, feed);
      return;
    }
    const held = new HeldCall(delivery, stored, idOf(stored, delivery.seq, this.#context.ids), feed.lane);
    this.#held.set(place, held);
    this.#byId.set(held.id, held);
    this.#context.activity.taken(feed.subject);
    if (this.#cancelled.has(held.id)) held.cancel(ABORT_GRACE_MS);
    if (this.#closing) {
      void this.#settle(held, { kind: "back" });
      return;
    }
    feed.waiting.push(held);
    this.#waiting++;
  }

  /** What happens in one turn of the event loop is dealt with together. */
  #turnSoon(): void {
    if (this.#turning || this.#closing) return;
    this.#turning = true;
    setImmediate(() => {
      this.#turning = false;
      if (this.#closing) return;
      this.#startNext();
      askForMore(this.#feeds.values(), {
        concurrency: this.#options.concurrency,
        taken: this.#running + this.#waiting,
        limitOf: (feed) => this.#limitOf(feed),
      });
    });
  }

  #startNext(): void {
    if (this.#waiting === 0) return;
    const { concurrency } = this.#options;
    // Whoever has had its turn goes to the end; the others of this round are unchanged.
    for (let started = true; started; ) {
      started = false;
      for (const feed of [...this.#feeds.values()]) {
        if (this.#running >= concurrency || this.#waiting === 0) return;
        if (feed.waiting.length === 0 || feed.running >= this.#limitOf(feed)) continue;
        if (placesFor({ concurrency, taken: this.#running, own: feed.running }) === 0) continue;
        this.#start(feed, feed.waiting.shift() as HeldCall);
        this.#feeds.delete(feed.subject);
        this.#feeds.set(feed.subject, feed);
        started = true;
      }
    }
  }

  #start(feed: LaneFeed, held: HeldCall): void {
    this.#waiting--;
    this.#running++;
    feed.running++;
    this.#context.activity.started(feed.subject);
    const place = this.#aside.begin((now, before) => this.#left(feed, now, before));
    const ended = this.#run(held, place, feed.order).finally(() => {
      const hold = place.end();
      this.#release(feed, "nothing", hold);
      if (hold === "nothing") feed.free--;
      this.#context.activity.ended(feed.subject, hold === "nothing");
      feed.lastUsedAt = performance.now();
      this.#attempts.delete(held);
      this.#turnSoon();
    });
    this.#attempts.set(held, ended);
  }

  /** A call under way has given up places, and goes on without. */
  #left(feed: LaneFeed, now: Hold, before: Hold): void {
    this.#release(feed, now, before);
    if (now === "nothing") {
      feed.free++;
      this.#context.activity.freed(feed.subject);
      // The server still counts the call.
      feed.setLimit(this.#limitOf(feed));
    }
    this.#turnSoon();
  }

  #release(feed: LaneFeed, now: Hold, before: Hold): void {
    if (before === "both" && now !== "both") this.#running--;
    if (before !== "nothing" && now === "nothing") feed.running--;
  }

  async #run(held: HeldCall, place: Place, order: StartOrder): Promise<void> {
    const trying = attempt(this.#context, held, this.#deliver, place, order);
    const conclusion = await Promise.race([trying, held.abandoned.promise]);
    // Storing what became of it needs no place of its own.
    void this.#settle(held, conclusion);
  }

  async #settle(held: HeldCall, conclusion: Conclusion): Promise<void> {
    // What is handed back earlier would come back here.
    const after = conclusion.kind === "back" ? this.#deaf : undefined;
    await this.#settlement.settle(held, conclusion, this.#stop.signal, after);
    this.#held.delete(`${held.delivery.stream}:${held.delivery.seq}`);
    this.#byId.delete(held.id);
    this.#context.activity.released(held.delivery.subject);
  }

  #limitOf({ lane }: LaneFeed): number {
    return this.#options.limitOf({ name: lane.name, namespace: lane.namespace });
  }
}

async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const timeout = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([work, timeout]);
  timer.abort();
}
