import { FaasError } from "../../../../contract/errors.ts";
import type { Link } from "../../../nats/connection.ts";
import { readMessage, type StoredMessage } from "../../../nats/stored-message.ts";
import type { CallFilter, CallPage, ListedCall } from "../../queue.ts";
import { isWanted } from "../calls/callback-again.ts";
import { lookUpPast, type Past } from "../calls/past.ts";
import { callbackSubject, functionQueueSubject, queueStream, STREAMS } from "../client/names.ts";
import { decodeIfReadable, idOf, type StoredCall } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import { isFinal, type MessagePosition, statusOf, waitingRecord } from "../store/record.ts";
import { NewerFormError } from "../store/wire-fields.ts";

const CURSOR = /^([a-z0-9][a-z0-9_-]{0,62})\.(\d{1,15})\.(\d{1,15})$/;
const MAX_PAGE = 1000;
/** Messages that one page goes through, and their bytes: each has to be read whole. */
const MAX_LOOKED_AT = 2000;
const MAX_BYTES = 32 * 1024 ** 2;
const EMPTY = new Uint8Array();

/** Where a list is: in one of the queues, whose calls lie in its own stream and in that for later. */
interface Position {
  readonly queue: string;
  readonly ready: number;
  readonly later: number;
}

interface Found {
  readonly place: MessagePosition;
  /** Without its body. */
  readonly stored: StoredCall;
  readonly bodyBytes: number;
}

/**
 * Lists the messages of calls, one queue after the other; in each, the oldest call of the two streams comes first. A call
 * that moves gets a message behind all others, so that it can be listed twice, but is never passed over.
 * @throws {FaasError} `invalid`
 */
export async function listCalls(
  context: Context,
  filter: CallFilter,
  { limit, after }: { readonly limit: number; readonly after?: string },
): Promise<CallPage> {
  const start = after === undefined ? undefined : parseCursor(after);
  const wanted = Math.max(1, Math.min(MAX_PAGE, Math.floor(limit)));
  const items: ListedCall[] = [];
  let looked = 0;
  let bytes = 0;
  for (const queue of await queuesFrom(context, filter, start)) {
    const at = start?.queue === queue ? start : { queue, ready: 0, later: 0 };
    const messages = new QueueMessages(context.link, filter, at);
    while (await messages.first()) {
      if (items.length >= wanted || looked >= MAX_LOOKED_AT || bytes >= MAX_BYTES) {
        return { items, next: formatCursor(messages.position) };
      }
      const found: Found[] = [];
      while (found.length < wanted - items.length && looked < MAX_LOOKED_AT && bytes < MAX_BYTES) {
        const one = await messages.take();
        if (!one) break;
        looked++;
        bytes += one.message.data.byteLength;
        const stored = decodeIfReadable(one.message.data);
        if (stored) found.push(foundIn({ stream: one.stream, seq: one.message.seq }, stored));
      }
      const listed = await Promise.all(found.map((one) => lookAt(context, one)));
      items.push(...listed.filter((call) => call !== undefined).filter(({ state }) => matches(state, filter.state)));
    }
  }
  return { items };
}

function parseCursor(after: string): Position {
  const [, queue, ready, later] = CURSOR.exec(after) ?? [];
  if (queue === undefined) throw new FaasError("invalid", "after: must be the end of an earlier page");
  return { queue, ready: Number(ready), later: Number(later) };
}

function formatCursor({ queue, ready, later }: Position): string {
  return `${queue}.${ready}.${later}`;
}

/** In an order that stays: a queue that is gone is passed over. */
async function queuesFrom(context: Context, { queue }: CallFilter, start: Position | undefined): Promise<string[]> {
  const queues = (await context.queues()).toSorted();
  return queues.filter((name) => (queue === undefined || name === queue) && (!start || name >= start.queue));
}

function matches<T>(found: T, wanted: T | undefined): boolean {
  return wanted === undefined || found === wanted;
}

export function foundIn(place: MessagePosition, stored: StoredCall): Found {
  const { body } = stored;
  const bodyBytes = body instanceof Uint8Array ? body.byteLength : body.bytes;
  return { place, stored: { ...stored, body: EMPTY }, bodyBytes };
}

/** @returns undefined for a message whose call has ended, or lies elsewhere by now */
export async function lookAt(context: Context, { place, stored, bodyBytes }: Found): Promise<ListedCall | undefined> {
  const id = idOf(stored, place.seq, context.ids);
  if (stored.callback?.again && !(await isWanted(context, { id, stored }))) return undefined;
  const past = await pastOf(context, id, place, stored);
  if (past.kind !== "open") return undefined;
  const { state, ...status } = statusOf(past.record ?? waitingRecord(stored, id), Date.now());
  if (isFinal(state)) return undefined;
  const { batch } = stored.call;
  const member = batch?.kind === "member" ? { of: batch.of, index: batch.index } : undefined;
  return { ...status, state, bodyBytes, ...(member && { member }) };
}

async function pastOf(context: Context, id: string, place: MessagePosition, stored: StoredCall): Promise<Past> {
  try {
    return await lookUpPast(context, id, place, stored);
  } catch (error) {
    // Of what a later release has written down nobody here knows more than that its message is there.
    if (error instanceof FaasError && error.cause instanceof NewerFormError) return { kind: "open", record: undefined };
    throw error;
  }
}

/** Messages of one queue from both of its streams, the call that was accepted first before others. */
class QueueMessages {
  readonly #queue: string;
  readonly #ready: StreamMessages;
  readonly #later: StreamMessages;

  constructor(link: Link, { function: ref }: CallFilter, { queue, ready, later }: Position) {
    const functionQueue = ref ? functionQueueSubject({ queue, ...ref }) : `${queue}.*.*`;
    this.#queue = queue;
    this.#ready = new StreamMessages(
      link,
      queueStream(queue),
      ref ? [functionQueue, callbackSubject(functionQueue)] : [functionQueue],
      ready,
    );
    this.#later = new StreamMessages(link, STREAMS.later, [`FAASLANE.later.*.${functionQueue}`], later);
  }

  get position(): Position {
    return { queue: this.#queue, ready: this.#ready.after, later: this.#later.after };
  }

  /** The stream whose message comes first. */
  async first(): Promise<StreamMessages | undefined> {
    const [ready, later] = await Promise.all([this.#ready.head(), this.#later.head()]);
    if (!ready || !later) return ready ? this.#ready : later && this.#later;
    return acceptedAt(later) < acceptedAt(ready) ? this.#later : this.#ready;
  }

  async take(): Promise<{ readonly stream: string; readonly message: StoredMessage } | undefined> {
    const from = await this.first();
    const message = await from?.take();
    return from && message && { stream: from.stream, message };
  }
}

function acceptedAt({ data, storedAt }: StoredMessage): number {
  return decodeIfReadable(data)?.call.acceptedAt ?? storedAt;
}

/** Messages of some subjects of one stream, each read when it is its turn. */
class StreamMessages {
  readonly stream: string;
  readonly #link: Link;
  readonly #subjects: readonly string[];
  #after: number;
  /** The next one of each subject, as far as they have been read. */
  readonly #heads = new Map<string, StoredMessage | undefined>();

  constructor(link: Link, stream: string, subjects: readonly string[], after: number) {
    this.stream = stream;
    this.#link = link;
    this.#subjects = subjects;
    this.#after = after;
  }

  /** Number of the last message taken. */
  get after(): number {
    return this.#after;
  }

  async head(): Promise<StoredMessage | undefined> {
    const heads = await Promise.all(this.#subjects.map((subject) => this.#next(subject)));
    return heads.reduce((first, head) => (first && head && first.seq < head.seq ? first : (head ?? first)), undefined);
  }

  async #next(subject: string): Promise<StoredMessage | undefined> {
    if (!this.#heads.has(subject)) {
      const which = { seq: this.#after + 1, next_by_subj: subject };
      this.#heads.set(subject, await readMessage(this.#link, this.stream, which));
    }
    return this.#heads.get(subject);
  }

  async take(): Promise<StoredMessage | undefined> {
    const message = await this.head();
    if (!message) return undefined;
    this.#after = message.seq;
    for (const [subject, head] of this.#heads) if (head === message) this.#heads.delete(subject);
    return message;
  }
}
