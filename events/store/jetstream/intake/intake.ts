import { FaasError } from "../../../../contract/errors.ts";
import { lastOf } from "../../../../gateway/nats/direct-get.ts";
import { readMessage } from "../../../../gateway/nats/stored-message.ts";
import { earliestNow } from "../../../../kit/steady-clock.ts";
import { type Appended, type BrokerRef, type NewEvent, ONCE_MS } from "../../event-store.ts";
import type { BrokerUse } from "../client/broker-count.ts";
import type { EventContext } from "../client/context.ts";
import { encodeEvent } from "../client/event-message.ts";
import {
  brokerKey,
  EVENT_STREAMS,
  eventRef,
  logSubject,
  markOf,
  newId,
  newMark,
  onceSubject,
} from "../client/names.ts";
import { ttl } from "../client/records.ts";
import type { BrokerRoom } from "./broker-room.ts";
import { type BatchMessage, MAX_BATCH_MESSAGES, storeBatch } from "./event-batch.ts";

interface Prepared {
  readonly broker: BrokerRef;
  readonly payload: Buffer;
  readonly mark: string;
  readonly ttlS: number;
  /** Subject of its key, if it has one. */
  readonly once?: string;
}

/** Events that are stored together. */
interface Group {
  readonly events: readonly Prepared[];
  readonly resolve: (appended: readonly Appended[]) => void;
  readonly reject: (error: unknown) => void;
}

const ONCE_TTL_S = ONCE_MS / 1000;
/** Each may need a second message for its key. */
export const MAX_EVENTS_TOGETHER = Math.floor(MAX_BATCH_MESSAGES / 2);
const MAX_BATCH_BYTES = 16 * 1024 ** 2;
/** A batch that meets keys of others is tried again without them. */
const MAX_TRIES = 20;

/**
 * Takes events. One without a key is one message. Several at a time, and those with keys, are batches, of which servers
 * take some dozens a second: what comes up while one is on its way goes together into the next one.
 */
export class EventIntake {
  readonly #context: EventContext;
  readonly #room: BrokerRoom;
  #waiting: Group[] = [];
  #storing = false;

  constructor(context: EventContext, room: BrokerRoom) {
    this.#context = context;
    this.#room = room;
  }

  /** @throws {FaasError} as {@link EventStore.append} */
  async append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    if (events.length === 0) return [];
    if (events.length > MAX_EVENTS_TOGETHER) {
      throw new FaasError("tooLarge", `${events.length} events at a time; at most ${MAX_EVENTS_TOGETHER} are taken`);
    }
    const prepared = events.map((event) => this.#prepare(event));
    const needs = new Map<string, { broker: BrokerRef; need: BrokerUse }>();
    for (const { broker, payload } of prepared) {
      const { events: count, bytes } = needs.get(brokerKey(broker))?.need ?? { events: 0, bytes: 0 };
      needs.set(brokerKey(broker), { broker, need: { events: count + 1, bytes: bytes + payload.byteLength } });
    }
    try {
      for (const { broker, need } of needs.values()) await this.#room.admit(broker, need);
    } catch (error) {
      // One that is there already needs no room.
      const known = await this.#allKnown(prepared);
      if (known) return known;
      throw error;
    }
    const [only] = prepared;
    if (prepared.length === 1 && only && only.once === undefined) return [await this.#storeOne(only, newId())];
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ events: prepared, resolve, reject });
      if (!this.#storing) void this.#storeAll();
    });
  }

  /**
   * Stores what follows from a delivery, whatever room there is: to refuse it would be to lose it.
   * @param id for all tries the same
   */
  async follow(
    message: Buffer,
    { broker, once, endsAt }: { broker: BrokerRef; once?: string; endsAt: number },
    id: string,
  ) {
    const ttlS = (endsAt - earliestNow()) / 1000;
    const mark = (JSON.parse(message.toString("utf8", 0, message.indexOf("\n"))) as { mark: string }).mark;
    const prepared = { broker, payload: message, mark, ttlS };
    if (once === undefined) return void (await this.#storeOne(prepared, id));
    await new Promise((resolve, reject) => {
      this.#waiting.push({ events: [{ ...prepared, once }], resolve, reject });
      if (!this.#storing) void this.#storeAll();
    });
  }

  #prepare(event: NewEvent): Prepared {
    const { broker, once } = event;
    const mark = once === undefined ? newMark() : markOf(`${brokerKey(broker)} ${once}`);
    const payload = encodeEvent(event, mark);
    const { maxEventBytes } = this.#context;
    if (payload.byteLength > maxEventBytes) {
      const why = maxEventBytes < this.#context.settings.maxEventBytes ? ", by max_payload of the NATS server" : "";
      throw new FaasError(
        "tooLarge",
        `the event takes ${payload.byteLength} bytes; at most ${maxEventBytes} are taken${why}`,
      );
    }
    const ttlS = this.#context.brokers.ttlOf(event);
    return { broker, payload, mark, ttlS, ...(once !== undefined && { once: onceSubject(broker, once) }) };
  }

  async #storeOne({ broker, payload, mark, ttlS }: Prepared, id: string): Promise<Appended> {
    const subject = logSubject(broker, payload.byteLength);
    const { seq, duplicate } = await this.#context.publisher.publish(subject, payload, { id, headers: ttl(ttlS) });
    return { ref: eventRef(seq, mark), duplicate };
  }

  async #allKnown(events: readonly Prepared[]): Promise<readonly Appended[] | undefined> {
    if (events.some(({ once }) => once === undefined)) return undefined;
    const known = await this.#known(events, false);
    const all = events.flatMap(({ once }) => known.get(once ?? "") ?? []);
    return all.length === events.length ? all : undefined;
  }

  async #storeAll(): Promise<void> {
    this.#storing = true;
    while (this.#waiting.length > 0) {
      const groups = this.#next();
      try {
        const appended = await this.#storeTogether(groups.flatMap(({ events }) => events));
        let at = 0;
        for (const { events, resolve } of groups) {
          resolve(appended.slice(at, at + events.length));
          at += events.length;
        }
      } catch (error) {
        for (const { reject } of groups) reject(error);
      }
    }
    this.#storing = false;
  }

  /** Of those that wait, what fits into one batch. */
  #next(): Group[] {
    let [messages, bytes, count] = [0, 0, 0];
    for (const { events } of this.#waiting) {
      for (const { once, payload } of events) {
        messages += once === undefined ? 1 : 2;
        bytes += payload.byteLength;
      }
      if (count > 0 && (messages > MAX_BATCH_MESSAGES || bytes > MAX_BATCH_BYTES)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #storeTogether(events: readonly Prepared[]): Promise<readonly Appended[]> {
    const deadline = performance.now() + this.#context.settings.publishTimeoutMs;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const known = await this.#known(events, tries > 0);
      const fresh = events.filter(({ once }) => once === undefined || !known.has(once));
      // Of two with one key the first one counts.
      const firsts = new Map(fresh.toReversed().map((event) => [event.once ?? event, event]));
      const stored = fresh.filter((event) => firsts.get(event.once ?? event) === event);
      const server = { link: this.#context.link, mend: () => this.#context.mend() };
      const first = stored.length === 0 ? 0 : await storeBatch(server, messagesOf(stored), deadline);
      if (first === undefined) continue;
      const refs = new Map<Prepared, string>();
      let seq = first;
      for (const event of stored) {
        if (event.once !== undefined) seq++;
        refs.set(event, eventRef(seq++, event.mark));
      }
      return events.map((event) => {
        const ref = refs.get(event);
        if (ref !== undefined) return { ref, duplicate: false };
        const other = known.get(event.once ?? "")?.ref ?? refs.get(firsts.get(event.once ?? event) as Prepared);
        return { ref: other as string, duplicate: true };
      });
    }
    throw new FaasError("unavailable", "the event store's NATS server cannot store: others store the same events");
  }

  /** Of the keys of events, those that the log has, and what was stored with them. @param surely by asking its leader */
  async #known(events: readonly Prepared[], surely: boolean): Promise<Map<string, Appended>> {
    const { link } = this.#context;
    const subjects = [...new Set(events.flatMap(({ once }) => once ?? []))];
    const found = surely
      ? (
          await Promise.all(subjects.map((subject) => readMessage(link, EVENT_STREAMS.log, { last_by_subj: subject })))
        ).filter((message) => message !== undefined)
      : await lastOf(link, EVENT_STREAMS.log, subjects);
    return new Map(
      found.map(({ subject, seq, data }) => [subject, { ref: eventRef(seq + 1, data.toString()), duplicate: true }]),
    );
  }
}

/** A key lies right before its event, and says what makes up its name. */
function messagesOf(events: readonly Prepared[]): BatchMessage[] {
  return events.flatMap(({ broker, payload, once, mark, ttlS }) => {
    const event = { subject: logSubject(broker, payload.byteLength), payload, ttlS };
    if (once === undefined) return [event];
    return [{ subject: once, payload: Buffer.from(mark), ttlS: ONCE_TTL_S, first: true }, event];
  });
}
