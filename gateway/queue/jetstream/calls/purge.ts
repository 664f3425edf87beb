import type { ConsumerInfo } from "nats";
import type { FunctionRef } from "../../../../contract/functions.ts";
import { API_ERRORS, isApiError } from "../../../nats/connection.ts";
import { countSubjects } from "../../../nats/count-subjects.ts";
import { deleteMessage, readMessage, type StoredMessage } from "../../../nats/stored-message.ts";
import { bucketSubject, consumerName, functionQueueSubject, queueStream, STREAMS } from "../client/names.ts";
import { removeAgain } from "../store/again-marks.ts";
import { decodeIfReadable, idOf } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import { waitingRecord } from "../store/record.ts";
import { cancelRecorded } from "./cancel.ts";
import { lookUpPast } from "./past.ts";

const AT_A_TIME = 32;

/**
 * Cancels the calls of a function that nobody has in hand. One after the other: a server's own purge would leave those
 * who ask for them, and batches, without an end.
 * @returns how many
 */
export async function purgeFunction(context: Context, { name, namespace }: FunctionRef): Promise<number> {
  const { link } = context;
  let count = 0;
  for (const queue of await context.queues()) {
    const functionQueue = { queue, namespace, name };
    for (const subject of [
      functionQueueSubject(functionQueue),
      functionQueueSubject({ ...functionQueue, callbacks: true }),
    ]) {
      count += await purgeSubject(context, queueStream(queue), subject, await inHandUpTo(context, queue, subject));
    }
    for (const later of (await countSubjects(link, STREAMS.later, bucketSubject("*", functionQueue))).keys()) {
      count += await purgeSubject(context, STREAMS.later, later, 0);
    }
  }
  return count;
}

/** Of a function queue's messages, those up to this number may be in somebody's hands; 0 when none is. */
async function inHandUpTo({ link, activity }: Context, queue: string, subject: string): Promise<number> {
  if (activity.of(subject, performance.now()).held === 0) return 0;
  try {
    const name = `CONSUMER.INFO.${queueStream(queue)}.${consumerName(subject)}`;
    return (await link.api<ConsumerInfo>(name)).delivered.stream_seq;
  } catch (error) {
    if (isApiError(error, API_ERRORS.consumerNotFound, API_ERRORS.streamNotFound)) return 0;
    throw error;
  }
}

async function purgeSubject(context: Context, stream: string, subject: string, after: number): Promise<number> {
  const messages = waiting(context, stream, subject, after);
  let count = 0;
  const worker = async () => {
    for await (const message of messages) if (await cancelMessage(context, stream, message)) count++;
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return count;
}

/** In their order, up to those that there were at first. */
async function* waiting(
  { link }: Context,
  stream: string,
  subject: string,
  after: number,
): AsyncGenerator<StoredMessage> {
  const last = await readMessage(link, stream, { last_by_subj: subject });
  if (!last) return;
  for (let seq = after + 1; seq <= last.seq; ) {
    const message = await readMessage(link, stream, { seq, next_by_subj: subject });
    if (!message || message.seq > last.seq) return;
    seq = message.seq + 1;
    yield message;
  }
}

/** @returns whether the call waited until now */
async function cancelMessage(context: Context, stream: string, { seq, data }: StoredMessage): Promise<boolean> {
  const stored = decodeIfReadable(data);
  if (!stored) return false; // as will show when its turn comes
  const id = idOf(stored, seq, context.ids);
  if (stored.callback?.again) {
    await removeAgain(context, id);
    await context.removeBodies(stored);
    return await deleteMessage(context.link, stream, seq);
  }
  const past = await lookUpPast(context, id, { stream, seq }, stored);
  if (past.kind !== "open") return false;
  return (await cancelRecorded(context, past.record ?? waitingRecord(stored, id))) === "waiting";
}
