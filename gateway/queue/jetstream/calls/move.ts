import { batchSubject, functionQueueSubject, queueStream, SIGNALS, STREAMS } from "../client/names.ts";
import { encodeCall, functionQueueOfStored, type StoredCall } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import { bucketOf, bucketToken, laterSubject } from "../store/later-bucket.ts";
import { type CallRecord, type MessagePosition, moveId, nextMove, waitingRecord } from "../store/record.ts";

export interface WaitingCall {
  readonly id: string;
  /** Its message, which is to go once the call has moved. */
  readonly place: MessagePosition;
  readonly stored: StoredCall;
  /** Its record, if there is one. */
  readonly open: CallRecord | undefined;
}

/**
 * Puts a call that waits into its queue, or into the bucket for what is left of its wait. Repeated, it is stored once.
 * @throws as {@link Publisher.publish}
 */
export async function moveOn(context: Context, { id, place, stored, open }: WaitingCall): Promise<void> {
  const { publisher, link } = context;
  const now = Date.now();
  const { dueAt, ...due } = stored;
  const functionQueue = functionQueueOfStored(stored);
  const bucket = dueAt !== undefined && dueAt > now ? bucketOf(dueAt, now) : undefined;
  const moves = nextMove(stored, open);
  const moved = { ...(bucket ? stored : due), id, moves };
  await context.ensureQueue(functionQueue.queue);
  const subject = bucket ? laterSubject(bucket, functionQueue) : functionQueueSubject(functionQueue);
  const at = await publisher.publish(subject, await context.encodeFitting(moved), { id: moveId(id, place) });
  if (!stored.callback?.again) {
    const before = open ?? waitingRecord(stored, id);
    const { nextAttemptAt: _, ...rest } = before;
    await putMoved(context, {
      ...(bucket ? before : rest),
      state: "waiting",
      location: { stream: at.stream, seq: at.seq, moves },
    });
  }
  if (bucket) link.send({ subject: SIGNALS.later, payload: bucketToken(bucket) });
  else link.send({ subject: SIGNALS.work, payload: `${queueStream(functionQueue.queue)} ${subject}` });
}

/** The members of a batch are in their queue; the batch as a whole waits for them elsewhere, without its lines. */
export async function moveToCoordinator(context: Context, { id, place, stored, open }: WaitingCall): Promise<void> {
  const { publisher } = context;
  const moves = nextMove(stored, open);
  const whole = encodeCall({ ...stored, id, moves, body: new Uint8Array() });
  const at = await publisher.publish(batchSubject(id), whole, { id: moveId(id, place) });
  const { nextAttemptAt: _, ...before } = open ?? waitingRecord(stored, id);
  const location = { stream: STREAMS.batches, seq: at.seq, moves };
  await putMoved(context, { ...before, state: "running", location });
}

/**
 * Writes down where a call has moved. It may have ended meanwhile, moved by somebody else as well: its record would outlive
 * that of its end.
 */
export async function putMoved({ records }: Pick<Context, "records">, record: CallRecord): Promise<void> {
  await records.putOpen(record);
  if (await records.findFinished(record.id)) await records.removeOpen(record.id);
}
