import { acknowledge, giveBack } from "../../../../gateway/nats/pull.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { earliestNow } from "../../../../kit/steady-clock.ts";
import type { DeliverySettlement, NewDelivery, NewEvent } from "../../event-store.ts";
import type { EventContext } from "../client/context.ts";
import { deliveryId } from "../client/delivery-message.ts";
import { encodeEvent, type eventOf } from "../client/event-message.ts";
import { deadMarkSubject, markOf, onceSubject } from "../client/names.ts";
import { type DeliveryDoc, isOver, newDoc, type SettlementOutbox, withAttempt } from "../client/records.ts";
import type { EventIntake } from "../intake/intake.ts";
import { isStored } from "../intake/is-stored.ts";
import { isEventOver, type JetStreamRetention } from "../ledger/retention.ts";
import { type HeldDelivery, recordPlaceOf } from "./held-delivery.ts";

const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 5000;
/** By then the event is gone. */
const MAX_RETRY_MS = 60 * 24 * 3600_000;
/** More does not go into the message of a record; it is stored before the end then. */
const OUTBOX_SHARE = 0.6;

/** By how much clocks may differ, also those of servers of one cluster. */
const CLOCK_SKEW_MS = 60_000;

type End = Extract<DeliverySettlement, { kind: "done" | "dead" }>;

/**
 * What becomes of a delivery is one message: its record, written only if nobody has written another one meanwhile. What
 * follows from it, replies and the way to a dead-letter sink, is in there until it has been done. Its own message goes last.
 */
export class DeliverySettler {
  readonly #context: EventContext;
  readonly #intake: EventIntake;
  readonly #retention: JetStreamRetention;

  constructor(context: EventContext, intake: EventIntake, retention: JetStreamRetention) {
    this.#context = context;
    this.#intake = intake;
    this.#retention = retention;
  }

  /** Carried out for as long as it takes, unless stopped; then the message comes again, to somebody else. Never rejects. */
  async settle(held: HeldDelivery, settlement: DeliverySettlement, stop: AbortSignal): Promise<void> {
    if (settlement.kind === "back") return giveBack(this.#context.link, held.place);
    const sound = this.#sound(settlement);
    const settledAt = Date.now();
    await held.marking;
    await this.#persist(held, stop, async (isAgain) => {
      if (isAgain) held.followedSince ??= this.#context.clock.toServer(settledAt) - CLOCK_SKEW_MS;
      if (sound.kind === "retry") await this.#retry(held, sound, settledAt);
      else await this.#end(held, sound);
    });
  }

  /** Goes on with what is over by its record, whoever has written that. Never rejects. */
  async resume(held: HeldDelivery, stop: AbortSignal): Promise<void> {
    await this.#persist(held, stop, async () => await this.#finishAgain(held));
  }

  /** It is not tried any more. Never rejects. */
  async drop(held: HeldDelivery, reason: string, stop: AbortSignal): Promise<void> {
    await this.#persist(held, stop, async () => {
      const { nextAttemptAt: _, ...doc } = held.record?.doc ?? newDoc(held.message.delivery);
      if (await this.#write(held, { ...doc, state: "dropped", reason })) await this.#finish(held);
    });
  }

  async #persist(held: HeldDelivery, stop: AbortSignal, work: (isAgain: boolean) => Promise<void>): Promise<void> {
    for (let waitMs = MIN_WAIT_MS; ; waitMs = Math.min(MAX_WAIT_MS, waitMs * 2)) {
      try {
        return await work(waitMs > MIN_WAIT_MS);
      } catch (err) {
        if (stop.aborted) return;
        if (waitMs === MIN_WAIT_MS) {
          const id = deliveryId(held.message);
          this.#context.settings.log.warn({ err, deliveryId: id }, "what became of a delivery cannot be stored yet");
        }
        await sleep(waitMs * (0.5 + Math.random() / 2), stop);
      }
    }
  }

  async #retry(
    held: HeldDelivery,
    { afterMs, attempt }: Extract<DeliverySettlement, { kind: "retry" }>,
    settledAt: number,
  ): Promise<void> {
    const { message } = held;
    const waitMs = Math.min(MAX_RETRY_MS, Math.max(0, Number.isNaN(afterMs) ? 0 : afterMs));
    const dueAt = settledAt + waitMs;
    const before = held.record?.doc ?? newDoc(message.delivery);
    if (before.failures <= message.failures) {
      const doc: DeliveryDoc = {
        ...before,
        state: "retrying",
        attempts: withAttempt(before.attempts, attempt),
        tries: before.tries + 1,
        failures: message.failures + 1,
        nextAttemptAt: dueAt,
      };
      if (!(await this.#write(held, doc))) return;
    }
    await this.again(held, waitMs);
  }

  /** Lets it wait for its next attempt, as its record says, which may be by a clock that was ahead: `mostMs` at most. */
  async again({ message, record, place }: HeldDelivery, mostMs = MAX_RETRY_MS): Promise<void> {
    const { again: _, ...rest } = message;
    const { failures, nextAttemptAt: dueAt } = record?.doc ?? newDoc(message.delivery);
    await this.#context.open.give({
      ...rest,
      failures,
      record: record?.seq ?? 0,
      ...(dueAt !== undefined && { dueAt: Math.min(dueAt, Date.now() + mostMs) }),
    });
    acknowledge(this.#context.link, place);
  }

  async #end(held: HeldDelivery, settlement: End): Promise<void> {
    const before = held.record?.doc ?? newDoc(held.message.delivery);
    if (!isOver(before)) {
      const { attempt, appended = [] } = settlement;
      const { nextAttemptAt: _, ...rest } = before;
      const next = settlement.kind === "dead" ? settlement.next : undefined;
      const outbox = await this.#outbox(held, appended, next);
      const doc: DeliveryDoc = {
        ...rest,
        state: settlement.kind === "done" ? "delivered" : "dead",
        ...(settlement.kind === "dead" && { reason: settlement.reason }),
        attempts: attempt ? withAttempt(before.attempts, attempt) : before.attempts,
        tries: before.tries + (attempt ? 1 : 0),
        failures: before.failures + (attempt && settlement.kind === "dead" ? 1 : 0),
        ...(outbox && { outbox }),
      };
      if (!(await this.#write(held, doc))) return;
    }
    await this.#finish(held);
  }

  /** Events that the store cannot take are told of, and left out. */
  #sound(settlement: Exclude<DeliverySettlement, { kind: "back" }>): Exclude<DeliverySettlement, { kind: "back" }> {
    if (settlement.kind === "retry" || !settlement.appended) return settlement;
    const { maxEventBytes } = this.#context;
    const fits = settlement.appended.filter((event) => encodeEvent(event, "0000").byteLength <= maxEventBytes);
    if (fits.length === settlement.appended.length) return settlement;
    const note = `an event that follows from it is not taken: the store takes at most ${maxEventBytes} bytes (max_payload of NATS)`;
    this.#context.settings.log.warn({ maxEventBytes }, "an event that follows from a delivery is too large");
    return settlement.kind === "done"
      ? { ...settlement, appended: fits, attempt: { ...settlement.attempt, note } }
      : { ...settlement, appended: fits };
  }

  async #outbox(
    held: HeldDelivery,
    appended: readonly NewEvent[],
    next: NewDelivery | undefined,
  ): Promise<SettlementOutbox | undefined> {
    if (appended.length === 0 && !next) return undefined;
    const messages = appended.map((event, index) => this.#following(held, event, index));
    const outbox = { appended: messages, ...(next && { next }) };
    if (JSON.stringify(outbox).length <= this.#context.link.maxPayload * OUTBOX_SHARE) return outbox;
    for (const [index, message] of messages.entries()) await this.#follow(held, message, index);
    return next ? { appended: [], next } : undefined;
  }

  #following(held: HeldDelivery, event: NewEvent, index: number): string {
    const mark = markOf(`${this.#idOf(held, index)} ${event.once ?? ""}`);
    const { once } = event;
    const line = once === undefined ? "" : onceSubject(event.broker, once);
    return `${line} ${encodeEvent(event, mark).toString("base64")}`;
  }

  async #follow(held: HeldDelivery, text: string, index: number): Promise<void> {
    const [once = "", base64 = ""] = text.split(" ");
    const message = Buffer.from(base64, "base64");
    const since = held.followedSince;
    // The server remembers names of messages for minutes. One with a key is looked for by that, always.
    if (since !== undefined && once === "" && (await isStored(this.#context, message, since))) return;
    const meta = JSON.parse(message.toString("utf8", 0, message.indexOf("\n"))) as Parameters<typeof eventOf>[1];
    const endsAt = earliestNow() + this.#context.brokers.ttlOf(meta) * 1000;
    const id = this.#idOf(held, index);
    await this.#intake.follow(message, { broker: meta.broker, endsAt, ...(once !== "" && { once }) }, id);
  }

  #idOf({ message }: HeldDelivery, index: number): string {
    return `f.${deliveryId(message)}.${message.failures}.${index}`;
  }

  /** @returns false when somebody else has settled it, which has been seen to then */
  async #write(held: HeldDelivery, doc: DeliveryDoc): Promise<boolean> {
    const { records, brokers } = this.#context;
    let after = held.record?.seq ?? held.message.record;
    for (;;) {
      const seq = await records.write(recordPlaceOf(held), doc, after, brokers.ttlOf(held.message));
      if (seq !== undefined) {
        held.record = { doc, seq };
        return true;
      }
      const found = await records.delivery(recordPlaceOf(held));
      held.record = found;
      after = found?.seq ?? 0;
      if (found && isOver(found.doc)) {
        await this.#finishAgain(held);
        return false;
      }
      if (found && found.doc.failures > held.message.failures) {
        acknowledge(this.#context.link, held.place);
        return false;
      }
    }
  }

  /** Whoever has ended it may have done some of what follows, however long ago. */
  async #finishAgain(held: HeldDelivery): Promise<void> {
    const storedAt = held.record?.storedAt;
    if (storedAt !== undefined) held.followedSince ??= storedAt - CLOCK_SKEW_MS;
    await this.#finish(held);
  }

  /** Everything here can be done twice. */
  async #finish(held: HeldDelivery): Promise<void> {
    const { open, link, records, brokers } = this.#context;
    const { message, place } = held;
    const found = held.record;
    if (found?.doc.outbox) {
      const { appended, next } = found.doc.outbox;
      for (const [index, text] of appended.entries()) await this.#follow(held, text, index);
      if (next) await this.#next(held, next);
      const { outbox: _, ...doc } = found.doc;
      const seq = await records.write(recordPlaceOf(held), doc, found.seq, brokers.ttlOf(message));
      if (seq !== undefined) held.record = { doc, seq };
    }
    if (found?.doc.state === "dead") {
      await records.mark(deadMarkSubject(message.broker, message.ref, message.n), brokers.ttlOf(message));
    }
    await open.advance(message);
    if (message.drops && found) await this.#letGo(held);
    acknowledge(link, place);
  }

  async #next(held: HeldDelivery, delivery: NewDelivery): Promise<void> {
    const { records, brokers, open } = this.#context;
    const { broker, ref, n, arrivedAt, drops } = held.message;
    const message = {
      broker,
      ref,
      n: `${n}x`,
      delivery,
      failures: 0,
      arrivedAt,
      again: true,
      ...(drops && { drops }),
    } as const;
    const record = await records.write({ broker, ref, n: message.n }, newDoc(delivery), 0, brokers.ttlOf(held.message));
    const dueAt = delivery.notBefore;
    await open.add({ ...message, record: record ?? 0, ...(dueAt !== undefined && { dueAt }) });
  }

  /** When nothing more is to be delivered of the event, what is not to be kept goes. */
  async #letGo({ message: { broker, ref } }: HeldDelivery): Promise<void> {
    const { records } = this.#context;
    const whole = await records.whole(broker, ref);
    const isKept = whole?.keep === "full" && (whole.meta.dataBytes ?? 0) <= this.#context.settings.keepDataBytes;
    if (!whole || isKept) return;
    const docs = await records.deliveriesOf(broker, ref);
    // What could not be delivered is kept for somebody to look at, and to deliver again.
    if (!isEventOver({ whole, docs }) || [...docs.values()].some(({ state }) => state === "dead")) return;
    if (whole.keep === "off") await this.#retention.remove(broker, ref);
    else await this.#retention.dropData(ref);
  }
}
