import type { FunctionRef } from "../../../../contract/functions.ts";
import { within } from "../../../../kit/within.ts";
import { type Delivery, stillWorking } from "../../../nats/pull.ts";
import type { ConsumeOptions, Consumer, Deliver } from "../../queue.ts";
import {
  type Attempt,
  type FunctionQueue as ClaimQueue,
  type ClaimStore,
  type Ending,
  limitOf,
} from "../../worker/store.ts";
import { QueueWorker } from "../../worker/worker.ts";
import { BatchCoordinator } from "../background/batch-coordinator.ts";
import { DelayScheduler } from "../background/delay-scheduler.ts";
import type { WorkerContext } from "../background/worker-context.ts";
import { handleUnreadable } from "../calls/unreadable.ts";
import { type FunctionQueueRef, functionQueueSubject, SIGNALS } from "../client/names.ts";
import { decodeCall, idOf, type StoredCall } from "../store/call-codec.ts";
import { type Conclusion, HeldCall } from "../store/held-call.ts";
import { Discovery } from "./discovery.ts";
import { FunctionSubscription } from "./function-subscription.ts";
import { openCall } from "./opening.ts";
import { Settlement } from "./settlement.ts";

/** How long closing waits for what is to be stored. What is not is delivered again, which is allowed. */
const SETTLE_TIMEOUT_MS = 5000;
const TICK_MS = 500;
/** A function without calls for so long is left to the signals. */
const IDLE_MS = 120_000;
const CANCELLED_MS = 10_000;

/** The calls on the server, as a worker claims them. */
export class JetStreamConsumer implements Consumer, ClaimStore<HeldCall> {
  readonly #context: WorkerContext;
  readonly #options: ConsumeOptions;
  readonly #worker: QueueWorker<HeldCall>;
  readonly #settlement: Settlement;
  readonly #discovery: Discovery;
  readonly #later: DelayScheduler;
  readonly #batches: BatchCoordinator;
  /** By subject. */
  readonly #subscriptions = new Map<string, FunctionSubscription>();
  /** How many of them each function has; those for callbacks apart. */
  readonly #queuesOf = new Map<string, number>();
  /** By the place of the message. */
  readonly #held = new Map<string, HeldCall>();
  readonly #byId = new Map<string, HeldCall>();
  /** Of late, and when. */
  readonly #cancelled = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #off: (() => void)[] = [];
  readonly #onClosed: () => void;
  /** Resolves when this process is delivered nothing any more, once it closes; never rejects. */
  #subscriptionsClosed: Promise<unknown> | undefined;
  #backgroundClosed: Promise<unknown> | undefined;

  constructor(context: WorkerContext, deliver: Deliver, options: ConsumeOptions, onClosed: () => void) {
    this.#context = context;
    this.#options = options;
    this.#onClosed = onClosed;
    this.#worker = new QueueWorker(this, deliver, options, context.settings.log);
    this.#settlement = new Settlement(context);
    this.#discovery = new Discovery(
      context,
      options.queues,
      (functionQueue, calls) => this.#found(functionQueue, calls),
      (queue, counts) => this.#looked(queue, counts),
    );
    this.#later = new DelayScheduler(context);
    this.#batches = new BatchCoordinator(context, options.finishBatch);
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
        for (const subscription of this.#subscriptions.values()) subscription.reconnected();
      }),
    );
    this.#stop.signal.addEventListener("abort", () => clearInterval(working));
    this.#discovery.start();
    this.#later.start();
    this.#batches.start();
  }

  limitChanged(ref: FunctionRef): void {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.ref.name === ref.name && subscription.ref.namespace === ref.namespace)
        this.#setLimit(subscription);
    }
    this.#worker.limitChanged(ref);
  }

  close(drainTimeoutMs: number): Promise<void> {
    return this.#worker.close(drainTimeoutMs);
  }

  claim(functionQueue: ClaimQueue, count: number): void {
    const subscription = this.#subscriptions.get(functionQueue.key);
    const asked = subscription?.askable ? subscription.ask(count) : 0;
    // One request at a time: it can be asked again when this one is over.
    this.#worker.ready(functionQueue, 0);
    if (asked < count) this.#worker.missed(functionQueue, count - asked);
  }

  share({ key }: ClaimQueue, limit: number): number {
    const subscription = this.#subscriptions.get(key);
    return subscription ? subscription.shareOf(limit, (this.#queuesOf.get(subscription.functionKey) ?? 0) > 1) : limit;
  }

  open(held: HeldCall): Attempt | undefined | Promise<Attempt | undefined> {
    held.begun = true;
    this.#context.activity.started(held.delivery.subject);
    const opened = openCall(this.#context, held);
    return opened instanceof Promise ? opened.then((one) => this.#opened(held, one)) : this.#opened(held, opened);
  }

  #opened(held: HeldCall, opened: Attempt | Conclusion): Attempt | undefined {
    if (!("kind" in opened)) return opened;
    this.#conclude(held, opened);
    return undefined;
  }

  freed(held: HeldCall): void {
    const { subject } = held.delivery;
    held.free = true;
    this.#context.activity.freed(subject);
    // The server still counts the call.
    const subscription = this.#subscriptions.get(subject);
    if (subscription) this.#setLimit(subscription);
  }

  settle(held: HeldCall, ending: Ending, over: Promise<unknown>): void {
    held.delivering = over;
    this.#conclude(held, ending);
  }

  release(held: HeldCall): void {
    this.#conclude(held, { kind: "back" });
  }

  stop(): void {
    for (const off of this.#off) off();
    this.#discovery.close();
    this.#subscriptionsClosed = Promise.allSettled(
      [...this.#subscriptions.values()].map((subscription) => subscription.close()),
    );
    this.#backgroundClosed = Promise.all([this.#later.close(), this.#batches.close()]);
  }

  async flush(): Promise<void> {
    await within(
      SETTLE_TIMEOUT_MS,
      Promise.all([this.#subscriptionsClosed, this.#backgroundClosed, this.#settlement.idle()]),
    );
    this.#stop.abort();
    await this.#settlement.idle();
    if (this.#context.link.connected) await within(SETTLE_TIMEOUT_MS, this.#context.link.flush());
    this.#onClosed();
  }

  #cancel(id: string): void {
    // Its message may be on its way still.
    this.#cancelled.set(id, performance.now());
    const held = this.#byId.get(id);
    if (!held) return;
    held.cancelled = true;
    this.#worker.cancel(held);
  }

  #tick(): void {
    const now = performance.now();
    for (const [id, at] of this.#cancelled) {
      if (now - at < CANCELLED_MS) break;
      this.#cancelled.delete(id);
    }
    for (const [subject, subscription] of this.#subscriptions) {
      this.#setLimit(subscription);
      subscription.tick();
      // Not while there is a request under way: what it brings would be nobody's.
      subscription.retiring = subscription.held + subscription.backlog === 0 && now - subscription.lastUsedAt > IDLE_MS;
      if (!subscription.retiring || subscription.asking) continue;
      this.#subscriptions.delete(subject);
      this.#countQueue(subscription, -1);
      this.#worker.ready(subscription, 0);
      subscription
        .close()
        .catch((err: unknown) => this.#context.settings.log.debug({ err }, "closing a subscription failed"));
    }
  }

  #setLimit(subscription: FunctionSubscription): void {
    subscription.setLimit(limitOf(subscription, this.#options));
  }

  /** @param calls on the server, those under way among them; undefined when only that there are some is known */
  #found(functionQueue: FunctionQueueRef, calls: number | undefined): void {
    if (this.#subscriptionsClosed) return;
    const subject = functionQueueSubject(functionQueue);
    let subscription = this.#subscriptions.get(subject);
    if (!subscription) {
      subscription = new FunctionSubscription(this.#context, functionQueue, {
        delivered: (from, delivery, expected) => this.#delivered(from, delivery, expected),
        missed: (from, count) => this.#worker.missed(from, count),
        askable: (from) => this.#offer(from),
      });
      this.#subscriptions.set(subject, subscription);
      this.#countQueue(subscription, 1);
      subscription.open(limitOf(subscription, this.#options));
    }
    if (calls !== undefined) subscription.counted(calls);
    else if (subscription.retiring) {
      subscription.retiring = false;
      subscription.lastUsedAt = performance.now();
    }
    if (subscription.backlog > 0 || calls === undefined) this.#offer(subscription);
  }

  #countQueue({ functionKey, callbacks }: FunctionSubscription, by: 1 | -1): void {
    if (callbacks) return;
    const count = (this.#queuesOf.get(functionKey) ?? 0) + by;
    if (count > 0) this.#queuesOf.set(functionKey, count);
    else this.#queuesOf.delete(functionKey);
  }

  /** Functions that have nothing in the queue are not found. */
  #looked(queue: string, counts: ReadonlyMap<string, number>): void {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.functionQueue.queue === queue && !counts.has(subscription.subject)) subscription.counted(0);
    }
  }

  #offer(subscription: FunctionSubscription): void {
    if (subscription.askable) this.#worker.ready(subscription, subscription.claimable);
  }

  #delivered(subscription: FunctionSubscription, delivery: Delivery, expected: boolean): void {
    subscription.lastUsedAt = performance.now();
    const place = `${delivery.stream}:${delivery.seq}`;
    const known = this.#held.get(place);
    // The server thinks this process has lost it; acknowledgements go to its latest delivery.
    if (known) known.delivery = delivery;
    const held = known ? undefined : this.#take(subscription, delivery, place);
    if (held) this.#worker.delivered(subscription, [held]);
    else if (expected) this.#worker.missed(subscription, 1);
    this.#offer(subscription);
  }

  #take(subscription: FunctionSubscription, delivery: Delivery, place: string): HeldCall | undefined {
    const { activity, ids } = this.#context;
    let stored: StoredCall;
    try {
      stored = decodeCall(delivery.data);
    } catch (err) {
      void handleUnreadable(this.#context, err, delivery, subscription);
      return undefined;
    }
    const held = new HeldCall(delivery, stored, idOf(stored, delivery.seq, ids), subscription.functionQueue);
    held.cancelled = this.#cancelled.has(held.id);
    this.#held.set(place, held);
    this.#byId.set(held.id, held);
    activity.taken(subscription.subject);
    subscription.held++;
    return held;
  }

  /** What comes later for the same message counts for nothing. */
  #conclude(held: HeldCall, conclusion: Conclusion): void {
    if (held.concluded) return;
    held.concluded = true;
    clearTimeout(held.showing);
    const { subject } = held.delivery;
    if (held.begun) this.#context.activity.ended(subject, held.free);
    const subscription = this.#subscriptions.get(subject);
    if (subscription) {
      subscription.held--;
      subscription.lastUsedAt = performance.now();
    }
    void this.#settle(held, conclusion);
  }

  async #settle(held: HeldCall, conclusion: Conclusion): Promise<void> {
    // What is handed back earlier would come back here.
    const after = conclusion.kind === "back" ? this.#subscriptionsClosed : undefined;
    await this.#settlement.settle(held, conclusion, this.#stop.signal, after);
    this.#held.delete(`${held.delivery.stream}:${held.delivery.seq}`);
    this.#byId.delete(held.id);
    this.#context.activity.released(held.delivery.subject);
  }
}
