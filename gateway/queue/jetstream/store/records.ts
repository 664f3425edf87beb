import { FaasError } from "../../../../contract/errors.ts";
import { API_ERRORS, isApiError, type Link } from "../../../nats/connection.ts";
import type { Publisher } from "../../../nats/publisher.ts";
import { purgeSubject, readMessage, type StoredMessage } from "../../../nats/stored-message.ts";
import { finishedSubject, openSubject, STREAMS, UNKNOWN_QUEUE } from "../client/names.ts";
import { type Bodies, BodyLostError } from "./bodies.ts";
import { type CallRecord, decodeRecord, encodeRecord, type ReadRecord } from "./record.ts";
import { NewerFormError, UnreadableError } from "./wire-fields.ts";

/**
 * Records of calls: of unfinished ones, from when they run long or have been tried, and of finished ones, which go by
 * themselves after their time. The first final record of a call is the one that counts.
 */
export class Records {
  readonly #link: Link;
  readonly #publisher: Publisher;
  readonly #results: Bodies;

  constructor(link: Link, publisher: Publisher, results: Bodies) {
    this.#link = link;
    this.#publisher = publisher;
    this.#results = results;
  }

  /** @throws {FaasError} `unavailable` for one that a later release has written */
  async findOpen(id: string): Promise<CallRecord | undefined> {
    // One that cannot be read tells no more than none.
    return this.#read(await readMessage(this.#link, STREAMS.open, { last_by_subj: openSubject(id) }), () => undefined);
  }

  /** @throws as {@link findOpen} */
  async findFinished(id: string): Promise<CallRecord | undefined> {
    const message = await readMessage(this.#link, STREAMS.finished, { last_by_subj: finishedSubject(id) });
    return this.#read(message, (reason, at) => endedSomehow(id, reason, at));
  }

  /** @throws as {@link Publisher.publish} */
  async putOpen(record: CallRecord, timeoutMs?: number): Promise<void> {
    await this.#publisher.publish(openSubject(record.id), await this.#encode(record), {
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
  }

  /**
   * @returns false when the call had ended before, in whatever way
   * @throws as {@link Publisher.publish}
   */
  async finish(record: CallRecord): Promise<boolean> {
    try {
      await this.#publisher.publish(finishedSubject(record.id), await this.#encode(record), { first: true });
      return true;
    } catch (error) {
      if (isApiError(error, API_ERRORS.wrongLastSequence)) return false;
      throw error;
    }
  }

  /** Of a call that had ended before: something about it has changed. @throws as {@link Publisher.publish} */
  async replaceFinished(record: CallRecord): Promise<void> {
    await this.#publisher.publish(finishedSubject(record.id), await this.#encode(record));
  }

  /** Of a batch: its members are being cancelled. Apart from its record, which another process keeps. */
  async markCancelled(id: string): Promise<void> {
    await this.#publisher.publish(markSubject(id), Buffer.from("cancelled"));
  }

  async isMarkedCancelled(id: string): Promise<boolean> {
    return (await readMessage(this.#link, STREAMS.open, { last_by_subj: markSubject(id) })) !== undefined;
  }

  async removeMark(id: string): Promise<void> {
    await purgeSubject(this.#link, STREAMS.open, markSubject(id));
  }

  /** Lets a call that had ended be unfinished again. */
  async removeFinished(id: string): Promise<void> {
    await purgeSubject(this.#link, STREAMS.finished, finishedSubject(id));
  }

  async removeOpen(id: string): Promise<void> {
    await purgeSubject(this.#link, STREAMS.open, openSubject(id));
  }

  async #encode(record: CallRecord): Promise<Buffer> {
    const body = record.outcome?.result?.body;
    if (!body || !this.#results.isLarge(body.byteLength)) {
      const payload = encodeRecord(record);
      if (!body || !this.#results.isLarge(payload.byteLength)) return payload;
    }
    return encodeRecord(record, await this.#results.store(record.id, body));
  }

  async #read(
    message: StoredMessage | undefined,
    unreadable: (reason: string, storedAt: number) => CallRecord | undefined,
  ): Promise<CallRecord | undefined> {
    if (!message) return undefined;
    let read: ReadRecord;
    try {
      read = decodeRecord(message.data);
    } catch (cause) {
      if (cause instanceof UnreadableError) return unreadable(cause.message, message.storedAt);
      if (!(cause instanceof NewerFormError)) throw cause;
      throw new FaasError("unavailable", "the call's record is one of a later release", { cause });
    }
    const { record, large } = read;
    const { outcome } = record;
    if (!large || !outcome?.result) return record;
    try {
      const body = await this.#results.load(large);
      return { ...record, outcome: { ...outcome, result: { ...outcome.result, body } } };
    } catch (error) {
      // It has gone before its record, by the limits on what is kept.
      if (!(error instanceof BodyLostError)) throw error;
      const { status, durationMs } = outcome;
      return { ...record, outcome: { status, durationMs } };
    }
  }
}

/** Whatever it says, that there is a record of its end says that the call has ended. */
function endedSomehow(id: string, why: string, at: number): CallRecord {
  const reason = `what became of it cannot be read: ${why}`;
  const unknown = { queue: UNKNOWN_QUEUE.queue, function: UNKNOWN_QUEUE.name, namespace: UNKNOWN_QUEUE.namespace };
  return { id, callId: id, ...unknown, state: "dead", reason, attempts: 0, acceptedAt: at, finishedAt: at };
}

function markSubject(id: string): string {
  return openSubject(`${id}-cancelled`);
}
