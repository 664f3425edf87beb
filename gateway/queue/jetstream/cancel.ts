import type { CallState } from "../queue.ts";
import { readAlias } from "./aliases.ts";
import { encodeMemberEnd } from "./batch-members.ts";
import { decodeCall, type StoredCall } from "./call-codec.ts";
import { API_ERRORS, isApiError } from "./connection.ts";
import type { Context } from "./context.ts";
import { type FoundCall, findCall } from "./lookup.ts";
import { endedSubject, SIGNALS, STREAMS } from "./names.ts";
import { type CallRecord, isFinal } from "./record.ts";
import { deleteMessage, readMessage } from "./stored-message.ts";

/** Members that are cancelled at the same time. */
const AT_A_TIME = 32;

/** @returns the state before, undefined for a call that is not known */
export async function cancelCall(context: Context, asked: string): Promise<CallState | undefined> {
  const found = await findCall(context, asked);
  if (!found) return undefined;
  const { record } = found;
  if (isFinal(record.state)) return record.state;
  if (record.location?.stream === STREAMS.batches) {
    // The batch itself ends when all of its members have, as it does otherwise.
    await context.records.markCancelled(record.id);
    await cancelMembers(context, record.id, record.batch?.size ?? 0);
    return record.state;
  }
  return await cancelOne(context, found);
}

async function cancelOne(context: Context, { record, place, stored }: FoundCall): Promise<CallState | undefined> {
  const { link, records, bodies } = context;
  const { location: _l, handBacks: _h, nextAttemptAt: _n, ...before } = record;
  const final: CallRecord = { ...before, state: "cancelled", finishedAt: Date.now() };
  if (!(await records.finish(final))) return (await records.findFinished(record.id))?.state;
  // Who has it in hand stops it; who gets it later sees that it has ended.
  if (link.connected) link.nc.publish(SIGNALS.cancel, record.id);
  if (record.state === "running") {
    if (record.batch) await cancelMembers(context, record.id, record.batch.size);
    return record.state;
  }
  const message = stored ?? (place && (await readStored(context, place)));
  if (message?.call.batch?.kind === "member") {
    const { of, index } = message.call.batch;
    await context.publisher.publish(endedSubject(of, index), encodeMemberEnd(final, context.publisher.maxBytes).small);
  }
  if (place) await deleteMessage(link, place.stream, place.seq);
  await records.removeOpen(record.id);
  if (message && !(message.body instanceof Uint8Array)) await bodies.remove(message.body);
  return record.state;
}

async function readStored({ link }: Context, { stream, seq }: NonNullable<FoundCall["place"]>) {
  const message = await readMessage(link, stream, { seq });
  return message && decodeOrNothing(message.data);
}

function decodeOrNothing(data: Uint8Array): StoredCall | undefined {
  try {
    return decodeCall(data);
  } catch {
    return undefined; // of something else that has the place now
  }
}

async function cancelMembers(context: Context, id: string, size: number): Promise<void> {
  const indexes = Array.from({ length: size }, (_, index) => index).values();
  const worker = async () => {
    for (const index of indexes) {
      const member = await readAlias(context, { kind: "member", of: id, index });
      if (member !== undefined && (await cancelCall(context, member)) !== undefined) continue;
      await endUnknown(context, id, index);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

/** A member that was never published, or is forgotten. */
async function endUnknown({ publisher }: Context, id: string, index: number): Promise<void> {
  const end = Buffer.from(JSON.stringify({ state: "cancelled" }));
  try {
    await publisher.publish(endedSubject(id, index), end, { first: true });
  } catch (error) {
    if (!isApiError(error, API_ERRORS.wrongLastSequence)) throw error; // else it has ended some other way
  }
}
