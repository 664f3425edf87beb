import { randomUUID } from "node:crypto";
import { type JsMsg, NatsError } from "nats";
import { FaasError } from "../../../../contract/errors.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { openReader } from "../../../nats/consumers.ts";
import { deleteMessage, readMessage } from "../../../nats/stored-message.ts";
import type { DeadLetter, DeadLetterFilter, DeadLetterPage, DeadLetters } from "../../queue.ts";
import { decodeLetter, LETTER_HEADER } from "../calls/dead-message.ts";
import { moveToCoordinator, putMoved } from "../calls/move.ts";
import {
  functionQueueSubject,
  parseFunctionQueue,
  queueStream,
  SIGNALS,
  STREAMS,
  token,
  UNKNOWN_QUEUE,
} from "../client/names.ts";
import { removeAgain } from "../store/again-marks.ts";
import { decodeCall, functionQueueOf, remainsOf, type StoredCall } from "../store/call-codec.ts";
import { isCallId } from "../store/call-id.ts";
import type { Context } from "../store/context.ts";
import { moveId, waitingRecord } from "../store/record.ts";
import { NewerFormError, UnreadableError } from "../store/wire-fields.ts";

const READ_BATCH = 500;
const READ_TIMEOUT_MS = 5000;
/** For letters that are there, unless somebody drops them meanwhile. */
const READ_WAIT_MS = 1000;
const READ_AGAIN_MS = 200;
const CURSOR = /^\d{1,15}$/;
const AT_A_TIME = 16;

interface Found {
  readonly seq: number;
  readonly letter: DeadLetter;
}

export class JetStreamDeadLetters implements DeadLetters {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  async list(
    filter: DeadLetterFilter,
    { limit, after }: { readonly limit: number; readonly after?: string },
  ): Promise<DeadLetterPage> {
    if (after !== undefined && !CURSOR.test(after)) throw new FaasError("invalid", `after: "${after}" is no page`);
    const found: Found[] = [];
    for await (const one of this.#read(filter, after === undefined ? 1 : Number(after) + 1)) {
      found.push(one);
      if (found.length > limit) break;
    }
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return {
      items: page.map(({ letter }) => letter),
      ...(found.length > limit && last && { next: String(last.seq) }),
    };
  }

  async replay(filter: DeadLetterFilter): Promise<number> {
    return await this.#each(filter, async (found) => {
      try {
        return await this.#replay(found);
      } catch (error) {
        // Of many, those that can be replayed are.
        if (filter.id === undefined && error instanceof FaasError && error.kind === "unprocessable") return false;
        throw error;
      }
    });
  }

  async drop(filter: DeadLetterFilter): Promise<number> {
    return await this.#each(filter, (found) => this.#drop(found));
  }

  /** @returns how many `act` did something with */
  async #each(filter: DeadLetterFilter, act: (found: Found) => Promise<boolean>): Promise<number> {
    const all: Found[] = [];
    for await (const found of this.#read(filter, 1)) all.push(found);
    let count = 0;
    const rest = all.values();
    const worker = async () => {
      for (const found of rest) if (await act(found)) count++;
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
    return count;
  }

  async #replay({ seq, letter }: Found): Promise<boolean> {
    const { link, records, publisher } = this.#context;
    const message = await readMessage(link, STREAMS.dead, { seq });
    if (!message) return false;
    await removeAgain(this.#context, letter.id);
    const { call, ...stored } = readCall(message.data, letter.id);
    const { batch, ...alone } = call;
    // The batch of a member may be over by now, so it goes on by itself.
    const anew = {
      ...stored,
      id: letter.id,
      moves: stored.moves + 1,
      attempts: 0,
      call: batch?.kind === "member" ? alone : call,
    };
    // A batch that its coordinator could not read has its members under way already.
    if (call.batch?.kind === "whole" && anew.body instanceof Uint8Array && anew.body.byteLength === 0) {
      await records.removeFinished(letter.id);
      const place = { stream: STREAMS.dead, seq };
      await moveToCoordinator(this.#context, { id: letter.id, place, stored: anew, open: undefined });
      return await deleteMessage(link, STREAMS.dead, seq);
    }
    const functionQueue = functionQueueOf(call);
    await this.#context.ensureQueue(functionQueue.queue);
    await records.removeFinished(letter.id);
    const subject = functionQueueSubject(functionQueue);
    const at = await publisher.publish(subject, await this.#context.encodeFitting(anew), {
      id: moveId(letter.id, { stream: STREAMS.dead, seq }),
    });
    await putMoved(this.#context, {
      ...waitingRecord(anew, letter.id),
      location: { stream: at.stream, seq: at.seq, moves: anew.moves },
    });
    link.send({ subject: SIGNALS.work, payload: `${queueStream(functionQueue.queue)} ${subject}` });
    // The call may have died again by now: its new letter has then taken the place of this one.
    const deleted = await deleteMessage(link, STREAMS.dead, seq);
    return deleted || !at.duplicate;
  }

  async #drop({ seq }: Found): Promise<boolean> {
    const { link, bodies } = this.#context;
    const message = await readMessage(link, STREAMS.dead, { seq });
    if (!message || !(await deleteMessage(link, STREAMS.dead, seq))) return false;
    const { body } = remainsOf(message.data);
    if (body) await bodies.remove(body);
    return true;
  }

  /** @throws {FaasError} `unavailable` when not all can be read */
  async *#read(filter: DeadLetterFilter, start: number): AsyncGenerator<Found> {
    const subject = subjectOf(filter);
    if (subject === undefined) return;
    const { link } = this.#context;
    const last = await readMessage(link, STREAMS.dead, { last_by_subj: subject });
    const deadline = performance.now() + READ_TIMEOUT_MS;
    for (let next = start; last && next <= last.seq; ) {
      for await (const found of this.#readOnce(subject, next)) {
        next = found.seq + 1;
        if (matches(found.letter, filter)) yield found;
      }
      // A reader can be on a server of the cluster that is behind, having just been started. The last may be gone, too.
      if (next > last.seq || !(await readMessage(link, STREAMS.dead, { seq: last.seq }))) return;
      if (performance.now() > deadline) throw new FaasError("unavailable", "the dead letters cannot be read just now");
      await sleep(READ_AGAIN_MS);
    }
  }

  async *#readOnce(subject: string, start: number): AsyncGenerator<Found> {
    const { link } = this.#context;
    const name = `dead-${randomUUID()}`;
    await openReader(link, STREAMS.dead, name, { subject, headersOnly: true, start });
    try {
      const reader = await link.nc.jetstream().consumers.get(STREAMS.dead, name);
      for (let pending = 1; pending > 0; ) {
        pending = 0;
        for await (const letter of await reader.fetch({ max_messages: READ_BATCH, expires: READ_WAIT_MS })) {
          yield foundIn(letter);
          pending = letter.info.pending;
          if (pending === 0) break;
        }
      }
    } catch (cause) {
      if (!(cause instanceof NatsError)) throw cause;
      throw new FaasError("unavailable", "the queue's NATS server does not answer", { cause });
    } finally {
      await link.api(`CONSUMER.DELETE.${STREAMS.dead}.${name}`).catch(() => undefined); // vanishes by itself, too
    }
  }
}

/** @returns undefined for what nothing can match */
function subjectOf({ id, function: ref }: DeadLetterFilter): string | undefined {
  if (id !== undefined && !isCallId(id)) return undefined;
  return `FAASLANE.dead.*.${ref ? `${token(ref.namespace)}.${token(ref.name)}` : "*.*"}.${id ?? "*"}`;
}

function matches({ diedAt }: DeadLetter, { since, until }: DeadLetterFilter): boolean {
  return (since === undefined || diedAt >= since) && (until === undefined || diedAt < until);
}

function foundIn({ seq, subject, headers, info }: JsMsg): Found {
  return { seq, letter: letterOf(subject, headers?.get(LETTER_HEADER), info.timestampNanos / 1e6) };
}

/** @param storedAt stands for the times of one that cannot be read */
function letterOf(subject: string, text: string | undefined, storedAt: number): DeadLetter {
  try {
    return decodeLetter(text ?? "");
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    const tokens = subject.split(".");
    const { queue, name, namespace } = parseFunctionQueue(tokens.slice(2, 5).join(".")) ?? UNKNOWN_QUEUE;
    const [id = ""] = tokens.slice(5);
    const at = Math.floor(storedAt);
    const known = { id, callId: id, queue, function: name, namespace, attempts: 0, acceptedAt: at, diedAt: at };
    return { ...known, reason: "why it is dead cannot be read", bodyBytes: 0 };
  }
}

/** @throws {FaasError} `unprocessable`; it stays where it is */
function readCall(data: Uint8Array, id: string): StoredCall {
  try {
    return decodeCall(data);
  } catch (cause) {
    if (!(cause instanceof UnreadableError) && !(cause instanceof NewerFormError)) throw cause;
    const message = `the dead letter ${id} cannot be replayed: the stored call cannot be read: ${cause.message}`;
    throw new FaasError("unprocessable", message, { cause });
  }
}
