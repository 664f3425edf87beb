import { readMessage } from "../../../nats/stored-message.ts";
import { queueStream, STREAMS } from "../client/names.ts";
import { readAlias } from "../store/aliases.ts";
import { decodeIfReadable, idOf, type StoredCall } from "../store/call-codec.ts";
import { type CallPlace, isCallId } from "../store/call-id.ts";
import type { Context } from "../store/context.ts";
import { type CallRecord, type MessagePosition, waitingRecord } from "../store/record.ts";

export interface FoundCall {
  readonly record: CallRecord;
  /** Its message, as far as it can be told where that is. */
  readonly place?: MessagePosition;
  readonly stored?: StoredCall;
}

/** @param asked the id of a call, else a caller's own call id: then of the last call that has it */
export async function findCall(context: Context, asked: string): Promise<FoundCall | undefined> {
  const byId = await findById(context, asked);
  if (byId) return byId;
  const id = await readAlias(context, { kind: "call", callId: asked });
  return id === undefined ? undefined : await findById(context, id);
}

async function findById(context: Context, id: string): Promise<FoundCall | undefined> {
  if (!isCallId(id)) return undefined;
  // Between one look and the next a call may have moved on, but never back: the record of its end comes last.
  return (await findRecorded(context, id)) ?? (await findWaiting(context, id)) ?? (await findRecorded(context, id));
}

/** The message of a call, where its record or its id tells, whether or not it has ended. */
export async function findMessage(
  context: Context,
  id: string,
  open: CallRecord | undefined,
): Promise<Required<Pick<FoundCall, "place" | "stored">> | undefined> {
  const place = open?.location;
  if (!place) {
    const waiting = await findWaiting(context, id);
    return waiting && { place: waiting.place, stored: waiting.stored };
  }
  const message = await readMessage(context.link, place.stream, { seq: place.seq });
  const stored = message && decodeIfReadable(message.data);
  return stored && idOf(stored, place.seq, context.ids) === id ? { place, stored } : undefined;
}

async function findRecorded({ records }: Context, id: string): Promise<FoundCall | undefined> {
  const [finished, open] = await Promise.all([records.findFinished(id), records.findOpen(id)]);
  const record = finished ?? open;
  if (!record) return undefined;
  return { record, ...(record.location && { place: record.location }) };
}

/** The message whose number is in the id. */
async function findWaiting(context: Context, id: string): Promise<Required<FoundCall> | undefined> {
  for (const place of context.ids.decode(id)) {
    const found = await findAt(context, id, place);
    if (found) return found;
  }
  return undefined;
}

/** In whatever stream the nonce is the right one. */
async function findAt(
  context: Context,
  id: string,
  { seq, nonce, hidden }: CallPlace,
): Promise<Required<FoundCall> | undefined> {
  const streams = [...(await context.queues()).map(queueStream), STREAMS.later];
  const looked = await Promise.all(
    streams.map(async (stream) => ({ stream, message: await readMessage(context.link, stream, { seq }) })),
  );
  for (const { stream, message } of looked) {
    if (!message) continue;
    const stored = decodeIfReadable(message.data);
    if (!stored) continue;
    // A call that has moved keeps its nonce, but its id tells of the place before.
    if (stored.nonce !== nonce || (stored.hidden ?? false) !== hidden || stored.id !== undefined) continue;
    return { record: waitingRecord(stored, id), place: { stream, seq }, stored };
  }
  return undefined;
}
