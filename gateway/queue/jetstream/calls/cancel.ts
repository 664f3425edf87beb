import { API_ERRORS, isApiError } from "../../../nats/connection.ts";
import { countSubjects } from "../../../nats/count-subjects.ts";
import { deleteMessage, purgeSubject } from "../../../nats/stored-message.ts";
import type { CallState } from "../../queue.ts";
import { endedSubject, memberSubject, memberSubjects, SIGNALS, STREAMS } from "../client/names.ts";
import { removeAgain } from "../store/again-marks.ts";
import { readAlias } from "../store/aliases.ts";
import type { Context } from "../store/context.ts";
import { type CallRecord, isFinal } from "../store/record.ts";
import { findCall, findMessage } from "./lookup.ts";
import { endMember } from "./member-end.ts";

/** Members that are cancelled at the same time. */
const AT_A_TIME = 32;

/** @returns the state before, undefined for a call that is not known */
export async function cancelCall(context: Context, asked: string): Promise<CallState | undefined> {
  const found = await findCall(context, asked);
  return found && (await cancelRecorded(context, found.record));
}

/** @returns the state before */
export async function cancelRecorded(context: Context, record: CallRecord): Promise<CallState | undefined> {
  const { records, link } = context;
  if (record.state === "cancelled") {
    // Whoever cancelled it may have been cut off before its message went.
    await clear(context, record);
    return record.state;
  }
  if (isFinal(record.state)) {
    if (record.told) await removeAgain(context, record.id);
    return record.state;
  }
  if (record.location?.stream === STREAMS.batches) {
    // The batch itself ends when all of its members have, as it does otherwise.
    await records.markCancelled(record.id);
    await cancelMembers(context, record.id, record.batch?.size ?? 0);
    return record.state;
  }
  const { location: _l, handBacks: _h, nextAttemptAt: _n, callback: _c, ...before } = record;
  const final: CallRecord = { ...before, state: "cancelled", finishedAt: Date.now() };
  if (!(await records.finish(final))) return (await records.findFinished(record.id))?.state;
  // Who has it in hand stops it; who gets it later sees that it has ended.
  link.send({ subject: SIGNALS.cancel, payload: record.id });
  await clear(context, final);
  return record.state;
}

/** Removes what is left of a cancelled call, as its worker may be dead. A worker that has it does the same. */
async function clear(context: Context, final: CallRecord): Promise<void> {
  const { link, records } = context;
  const open = await records.findOpen(final.id);
  const message = await findMessage(context, final.id, open);
  if (message?.place.stream === STREAMS.batches) return; // in the hands of who keeps it
  if (final.batch) {
    const members = await dropMembers(context, final.id);
    const spreading = members > 0 || open?.state === "running";
    // More may be published just now: who does so, or gets the message next, looks for them when that is over.
    if (message && message.place.stream !== STREAMS.later && spreading) return;
  }
  if (message) {
    const { place, stored } = message;
    if (stored.call.batch?.kind === "member") await endMember(context, stored.call.batch, final);
    await deleteMessage(link, place.stream, place.seq);
    await context.removeBodies(stored);
  }
  await records.removeOpen(final.id);
}

/**
 * Of a batch that was cancelled before all members were published: ends those there are, and forgets them.
 * @returns how many there were
 */
export async function dropMembers(context: Context, id: string): Promise<number> {
  const { link } = context;
  const members = await countSubjects(link, STREAMS.members, memberSubject(id, "*"));
  await inParallel(members.keys(), async (subject) => {
    const index = Number(subject.slice(subject.lastIndexOf(".") + 1));
    const member = await readAlias(context, { kind: "member", of: id, index });
    if (member !== undefined) await cancelCall(context, member);
    await purgeSubject(link, STREAMS.members, memberSubjects(id, index));
  });
  return members.size;
}

async function cancelMembers(context: Context, id: string, size: number): Promise<void> {
  await inParallel(new Array(size).keys(), async (index) => {
    const member = await readAlias(context, { kind: "member", of: id, index });
    if (member !== undefined && (await cancelCall(context, member)) !== undefined) return;
    await endUnknown(context, id, index);
  });
}

async function inParallel<T>(items: IterableIterator<T>, work: (item: T) => Promise<void>): Promise<void> {
  const worker = async () => {
    for (const item of items) await work(item);
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
