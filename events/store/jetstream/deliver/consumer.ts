import { countSubjects } from "../../../../gateway/nats/count-subjects.ts";
import { acknowledge, type Delivery, giveBack, giveBackLater, stillWorking } from "../../../../gateway/nats/pull.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { earliestNow } from "../../../../kit/steady-clock.ts";
import { within } from "../../../../kit/within.ts";
import type { DeliverEvent, DeliverySettlement, EventConsumer, EventConsumerOptions } from "../../event-store.ts";
import type { EventContext } from "../client/context.ts";
import { decodeDelivery, deliveryId, type OpenDelivery } from "../client/delivery-message.ts";
import { dueFilter, EVENT_SIGNALS, EVENT_STREAMS, parseOpen } from "../client/names.ts";
import { SOON_MS } from "../client/open-deliveries.ts";
import { isOver, newDoc } from "../client/records.ts";
import { overdueReason } from "../ledger/retention.ts";
import { type HeldDelivery, recordPlaceOf } from "./held-delivery.ts";
import type { DeliverySettler } from "./settlement.ts";
import { nextShare, type TriggerShare, wanted } from "./trigger-share.ts";
import { TriggerSubscription } from "./trigger-subscription.ts";

/** Most deliveries are over by then, and need no record that they are under way. */
const SHOW_MS = 300;
/** Of a trigger without deliveries; then its next one is found by the look through all, or by its signal. */
const IDLE_MS = 60_000;
const TROUBLE_WAIT_MS = 500;
const GONE_WAIT_MS = 1000;
/** For what is told to end. */
const LEAVE_MS = 300;

/** Makes the deliveries that are due. */
export class JetStreamEventConsumer implements EventConsumer {
  readonly #context: EventContext;
  readonly #deliver: DeliverEvent;
  readonly #options: EventConsumerOptions;
  readonly #settler: DeliverySettler;
  readonly #onClose: () => Promise<void>;
  readonly #shares = new Map<string, TriggerShare>();
  readonly #held = new Map<number, HeldDelivery>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  /** Aborts as soon as it begins to close. */
  readonly #closes = new AbortController();
  readonly #off: (() => void)[] = [];
  readonly #leaving = Promise.withResolvers<void>();
  #running = 0;
  #closing: Promise<void> | undefined;

  constructor(
    context: EventContext,
    deliver: DeliverEvent,
    options: EventConsumerOptions,
    settler: DeliverySettler,
    onClose: () => Promise<void>,
  ) {
    this.#context = context;
    this.#deliver = deliver;
    this.#options = options;
    this.#settler = settler;
    this.#onClose = onClose;
  }

  start(): void {
    const { link, settings, open } = this.#context;
    const due = link.nc.subscribe(EVENT_SIGNALS.due, { callback: (err, msg) => err || this.#found(msg.string()) });
    const dropped = link.nc.subscribe(EVENT_SIGNALS.dropped, {
      callback: (err, msg) => err || this.#dropped(msg.string()),
    });
    const working = setInterval(() => this.#keepAlive(), settings.ackWaitMs / 3);
    this.#off.push(
      open.onDue((trigger) => this.#found(trigger)),
      link.onReconnect(() => {
        for (const { subscription } of this.#shares.values()) subscription.reconnected();
      }),
      () => clearInterval(working),
      () => {
        if (link.nc.isClosed()) return;
        due.unsubscribe();
        dropped.unsubscribe();
      },
    );
    void this.#lookAgainAndAgain();
  }

  changed(): void {
    for (const share of this.#shares.values()) {
      if (this.#limitOf(share.subscription.trigger) > 0) continue;
      for (const held of share.ready.splice(0))
        this.#release(share, held, () => giveBack(this.#context.link, held.place));
    }
    this.#pump();
    this.#look().catch(() => undefined); // looked again soon
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes without waiting for what is under way longer than a moment: it is told to end, and left to others. */
  async leave(): Promise<void> {
    this.#stop.abort();
    for (const { abort } of this.#held.values()) abort.abort();
    this.#leaving.resolve();
    await this.close();
  }

  async #close(): Promise<void> {
    this.#closes.abort();
    for (const off of this.#off) off();
    await this.#onClose();
    await Promise.all([...this.#shares.values()].map(({ subscription }) => subscription.close()));
    for (const share of this.#shares.values()) {
      for (const held of share.ready.splice(0))
        this.#release(share, held, () => giveBack(this.#context.link, held.place));
    }
    const working = setInterval(() => this.#keepAlive(), this.#context.settings.ackWaitMs / 3);
    while (this.#underWay.size > 0) {
      const ended = Promise.all(this.#underWay);
      if (this.#stop.signal.aborted) {
        await within(LEAVE_MS, ended);
        break;
      }
      await Promise.race([ended, this.#leaving.promise]);
    }
    clearInterval(working);
    for (const held of this.#held.values()) giveBack(this.#context.link, held.place);
    this.#held.clear();
    if (this.#context.link.connected) await this.#context.link.flush().catch(() => undefined); // they come again
  }

  #limitOf(trigger: string): number {
    return this.#closing ? 0 : this.#options.perTrigger(trigger);
  }

  async #lookAgainAndAgain(): Promise<void> {
    const { settings } = this.#context;
    while (!this.#closing && !this.#context.link.nc.isClosed()) {
      await this.#look().catch((err: unknown) => settings.log.debug({ err }, "deliveries could not be looked through"));
      await sleep(settings.pollMs * (0.75 + Math.random() / 2), this.#closes.signal);
    }
  }

  async #look(): Promise<void> {
    const { link, settings } = this.#context;
    if (!link.connected) return this.#abortLost();
    await this.#context.clock.measure();
    const now = performance.now();
    const triggers = new Set<string>();
    for (const subject of (await countSubjects(link, EVENT_STREAMS.deliveries, dueFilter())).keys()) {
      const trigger = parseOpen(subject)?.trigger;
      if (trigger !== undefined) triggers.add(trigger);
    }
    for (const trigger of triggers) {
      this.#found(trigger);
      const share = this.#shares.get(trigger);
      if (share && share.held === 0) share.subscription.starved();
    }
    for (const [trigger, share] of this.#shares) {
      const isIdle = share.held === 0 && now - share.subscription.servedAt > Math.max(IDLE_MS, settings.pollMs);
      if (!isIdle || triggers.has(trigger)) continue;
      this.#shares.delete(trigger);
      share.subscription.close().catch(() => undefined); // nothing is lost with it
    }
  }

  /** What has been in hand without a connection for so long is somebody else's. */
  #abortLost(): void {
    const { link, settings } = this.#context;
    if (link.downSince === undefined || performance.now() - link.downSince < settings.ackWaitMs) return;
    for (const { abort } of this.#held.values()) abort.abort();
  }

  #found(trigger: string): void {
    if (this.#closing || this.#limitOf(trigger) <= 0) return;
    const known = this.#shares.get(trigger);
    if (known) {
      this.#ask(known);
      return;
    }
    const subscription = new TriggerSubscription(this.#context, trigger, {
      delivered: (delivery) => this.#delivered(trigger, delivery),
      askable: () => {
        const share = this.#shares.get(trigger);
        if (share) this.#ask(share);
      },
    });
    this.#shares.set(trigger, { subscription, held: 0, running: 0, ready: [] });
  }

  #ask(share: TriggerShare): void {
    if (this.#closing || (this.#running >= this.#options.concurrency && share.held > 0)) return;
    share.subscription.ask(wanted(share, this.#limitOf(share.subscription.trigger), this.#options.concurrency));
  }

  #delivered(trigger: string, place: Delivery): void {
    const share = this.#shares.get(trigger);
    if (!share) {
      giveBack(this.#context.link, place);
      return;
    }
    const known = this.#held.get(place.seq);
    if (known) {
      known.place = place;
      return;
    }
    const message = decodeDelivery(place.data);
    if (!message) {
      this.#context.settings.log.error({ trigger, seq: place.seq }, "a delivery cannot be read; it is left out");
      acknowledge(this.#context.link, place);
      return;
    }
    const held: HeldDelivery = { place, message, abort: new AbortController(), record: undefined };
    this.#held.set(place.seq, held);
    share.held++;
    const waitMs = (message.dueAt ?? 0) - Date.now();
    // What the server has held back is due, whatever this machine's clock has been set to meanwhile.
    if (waitMs <= 0 || waitMs > 2 * SOON_MS) {
      share.ready.push(held);
      this.#pump();
      return;
    }
    const waiting = sleep(waitMs, this.#stop.signal).then(() => {
      share.ready.push(held);
      this.#pump();
    });
    void waiting;
  }

  #pump(): void {
    while (this.#running < this.#options.concurrency && !this.#closing) {
      const limitOf = (trigger: string) => this.#limitOf(trigger);
      const share = nextShare(this.#shares.values(), limitOf, this.#running, this.#options.concurrency);
      const held = share?.ready.shift();
      if (!share || !held) return;
      // To the end of the circle.
      this.#shares.delete(share.subscription.trigger);
      this.#shares.set(share.subscription.trigger, share);
      this.#running++;
      share.running++;
      const working = this.#work(held).finally(() => {
        const wasFull = this.#running >= this.#options.concurrency;
        this.#running--;
        share.running--;
        this.#underWay.delete(working);
        this.#release(share, held);
        this.#pump();
        if (wasFull) for (const each of this.#shares.values()) this.#ask(each);
        else this.#ask(share);
      });
      this.#underWay.add(working);
    }
  }

  #release(share: TriggerShare, held: HeldDelivery, then?: () => void): void {
    share.held--;
    if (this.#held.get(held.place.seq) === held) this.#held.delete(held.place.seq);
    then?.();
  }

  #keepAlive(): void {
    for (const { place } of this.#held.values()) stillWorking(this.#context.link, place);
  }

  #dropped(trigger: string): void {
    for (const held of this.#held.values()) if (held.message.delivery.trigger === trigger) held.abort.abort();
  }

  /** Never rejects. */
  async #work(held: HeldDelivery): Promise<void> {
    const { settings, link } = this.#context;
    try {
      if (!(await this.#isToBeTried(held))) return;
    } catch (err) {
      settings.log.warn(
        { err, deliveryId: deliveryId(held.message) },
        "a delivery cannot be looked up; it is handed back",
      );
      await sleep(TROUBLE_WAIT_MS, this.#stop.signal);
      return giveBackLater(link, held.place, GONE_WAIT_MS);
    }
    await this.#settler.settle(held, await this.#try(held), this.#stop.signal);
  }

  /** Looks at its record where that may say something, and sees to what is over by it. */
  async #isToBeTried(held: HeldDelivery): Promise<boolean> {
    const { message, place } = held;
    const { brokers, link, records } = this.#context;
    if (place.deliveries > 1 || message.again || message.failures > 0) {
      held.record = await records.delivery(recordPlaceOf(held));
      const doc = held.record?.doc;
      if (doc && isOver(doc)) {
        await this.#settler.resume(held, this.#stop.signal);
        return false;
      }
      if (doc && doc.failures > message.failures) {
        await this.#settler.again(held);
        return false;
      }
    }
    if (brokers.endOf(message) <= earliestNow()) {
      const reason = overdueReason(brokers.of(message.broker).maxAgeMs);
      await this.#settler.drop(held, reason, this.#stop.signal);
      return false;
    }
    const event = await this.#context.event(message.ref);
    if (event) {
      held.event = event;
      return true;
    }
    await this.#context.open.advance(message);
    acknowledge(link, place);
    return false;
  }

  async #try(held: HeldDelivery): Promise<DeliverySettlement> {
    const { message, event } = held;
    const showing = setTimeout(() => {
      held.marking = this.#show(held);
    }, SHOW_MS);
    try {
      if (!event) return { kind: "back" };
      const { failures, delivery } = message;
      return await this.#deliver({ ...delivery, id: deliveryId(message), event, failures }, held.abort.signal);
    } catch (err) {
      this.#context.settings.log.error(
        { err, deliveryId: deliveryId(message) },
        "a delivery failed in an unforeseen way",
      );
      await sleep(TROUBLE_WAIT_MS, this.#stop.signal);
      return { kind: "back" };
    } finally {
      clearTimeout(showing);
    }
  }

  /** Writes down that it is under way. */
  async #show(held: HeldDelivery): Promise<void> {
    const { records, brokers, settings } = this.#context;
    const message: OpenDelivery = held.message;
    try {
      const { nextAttemptAt: _, ...before } = held.record?.doc ?? newDoc(message.delivery);
      const doc = { ...before, state: "delivering" as const };
      const after = held.record?.seq ?? message.record;
      const seq = await records.write(recordPlaceOf(held), doc, after, brokers.ttlOf(message));
      if (seq !== undefined) held.record = { doc, seq };
    } catch (err) {
      settings.log.debug({ err, deliveryId: deliveryId(message) }, "that a delivery is under way cannot be shown");
    }
  }
}
