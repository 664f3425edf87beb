import { earliestNow } from "../../../../kit/steady-clock.ts";
import { acknowledge, giveBack } from "../../../nats/pull.ts";
import { purgeSubject, readMessage } from "../../../nats/stored-message.ts";
import { newsOf } from "../../outcome.ts";
import type { CallbackEnd, CallbackRequest, PendingCallback } from "../../queue.ts";
import { deadSubject, functionQueueSubject, queueStream, SIGNALS, STREAMS } from "../client/names.ts";
import { findAgain, putAgain, removeAgain } from "../store/again-marks.ts";
import { functionQueueOfStored, type StoredCall } from "../store/call-codec.ts";
import { Nonces } from "../store/call-id.ts";
import { givenUp, type StoredCallback } from "../store/callback-codec.ts";
import type { Context } from "../store/context.ts";
import type { Conclusion, HeldCall } from "../store/held-call.ts";
import { bucketOf, bucketToken, laterSubject } from "../store/later-bucket.ts";
import { isFinal, moveId, outcomeOf } from "../store/record.ts";
import { findCall } from "./lookup.ts";

const nonces = new Nonces();

/**
 * Queues the callback of a call that has ended once more: as a message of its own, that nothing but the callback comes of.
 * @throws as {@link Publisher.publish}
 */
export async function callBackAgain(context: Context, asked: string): Promise<CallbackRequest> {
  const found = await findCall(context, asked);
  if (!found) return (await isDead(context, asked)) ? "noResult" : "unknown";
  const { record } = found;
  if (!isFinal(record.state)) return "open";
  const { told } = record;
  if (!told) return "noCallback";
  const kept = outcomeOf(record, earliestNow());
  const outcome = told.state === "expired" ? { status: 504, durationMs: told.durationMs } : kept;
  if (!outcome || (told.state !== "expired" && !outcome.result)) return "noResult";
  const { id, callId, queue, namespace, acceptedAt, attempts } = record;
  const request = { method: "POST", path: "/", query: "", headers: [], callbackUrl: told.url };
  const stored: StoredCall = {
    call: { callId, queue, function: record.function, namespace, acceptedAt, ...request },
    nonce: nonces.next(),
    id,
    moves: 0,
    attempts,
    callback: { ...newsOf(told), outcome, tries: 0, since: Date.now(), again: true },
    body: new Uint8Array(),
  };
  await context.ensureQueue(queue);
  const payload = await context.encodeFitting(stored);
  // First, as its message is void without it.
  await putAgain(context, id, { nonce: stored.nonce, tries: 0 });
  const subject = functionQueueSubject(functionQueueOfStored(stored));
  await context.publisher.publish(subject, payload, { id: `${id}>again:${stored.nonce}` });
  context.link.send({ subject: SIGNALS.work, payload: `${queueStream(queue)} ${subject}` });
  return "queued";
}

/** What is known of a dead call is forgotten before its letter is. */
async function isDead({ link }: Context, id: string): Promise<boolean> {
  if (!/^[\w-]+$/.test(id)) return false;
  return (await readMessage(link, STREAMS.dead, { last_by_subj: `FAASLANE.dead.*.*.*.${id}` })) !== undefined;
}

/** Whether a message that sends a callback once more is still to do so. */
export async function isWanted(context: Context, { id, stored }: Pick<HeldCall, "id" | "stored">): Promise<boolean> {
  return (await findAgain(context, id))?.nonce === stored.nonce;
}

/** What becomes of a message that sends a callback once more. The call itself has ended long ago. */
export async function concludeAgain(
  context: Context,
  held: HeldCall,
  callback: StoredCallback,
  conclusion: Conclusion,
): Promise<void> {
  switch (conclusion.kind) {
    case "back":
      return giveBack(context.link, held.delivery);
    case "callback":
      return await putOff(context, held, callback, conclusion.callback, conclusion.afterMs);
    case "retry":
      return await putOff(context, held, callback, callback, conclusion.afterMs);
    case "done":
    case "dead":
    case "expired":
      if (await isWanted(context, held)) await end(context, held, conclusion.callback ?? givenUp(callback));
  }
  await context.removeBodies(held.stored);
  acknowledge(context.link, held.delivery);
}

async function putOff(
  context: Context,
  { id, stored, functionQueue, delivery }: HeldCall,
  before: StoredCallback,
  { tries, failure }: Pick<PendingCallback, "tries" | "failure">,
  afterMs: number,
): Promise<void> {
  const { publisher, link } = context;
  const now = Date.now();
  const dueAt = now + Math.max(0, afterMs);
  const bucket = bucketOf(dueAt, now);
  const callback = { ...before, tries, ...(failure !== undefined && { failure }) };
  const payload = await context.encodeFitting({ ...stored, moves: stored.moves + 1, dueAt, callback });
  await publisher.publish(laterSubject(bucket, functionQueue), payload, { id: moveId(`${id}-again`, delivery) });
  if (await isWanted(context, { id, stored })) {
    await putAgain(context, id, { nonce: stored.nonce, tries, dueAt, ...(failure !== undefined && { failure }) });
  }
  acknowledge(link, delivery);
  link.send({ subject: SIGNALS.later, payload: bucketToken(bucket) });
}

async function end(context: Context, { id, functionQueue }: HeldCall, told: CallbackEnd): Promise<void> {
  const { records, link } = context;
  const record = await records.findFinished(id);
  const rescued = told.delivered && told.state === "done" && (record === undefined || record.state === "dead");
  if (record) {
    const { reason: _, ...alive } = record;
    await records.replaceFinished(rescued ? { ...alive, state: "done", told } : { ...record, told });
  }
  if (rescued) await purgeSubject(link, STREAMS.dead, deadSubject(functionQueue, id));
  await removeAgain(context, id);
}
