import { hash } from "node:crypto";
import { acknowledge, type Delivery, giveBackLater } from "../../../nats/pull.ts";
import type { DeadLetter } from "../../queue.ts";
import { deadSubject, type FunctionQueueRef } from "../client/names.ts";
import { remainsOf } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import { markLeft } from "../store/left-marks.ts";
import { type MessagePosition, moveId } from "../store/record.ts";
import { NewerFormError, UnreadableError } from "../store/wire-fields.ts";
import { letterHeaders } from "./dead-message.ts";
import { endMember } from "./member-end.ts";

/** Before a call of a later release is offered to its workers again, at most. */
const MAX_LEAVE_MS = 5000;

export interface UnreadableMessage extends MessagePosition {
  readonly data: Uint8Array;
  /** When the stream took it. */
  readonly storedAt: number;
  /** Where the call was to go, as the message's subject tells. */
  readonly functionQueue: FunctionQueueRef;
  /** Of its call, where that is known. */
  readonly id?: string;
}

/**
 * Deals with a delivered message that holds no call this release can read: one of a later release is left to its workers, all
 * else becomes a dead letter. Never rejects: what fails is tried again when the message comes again.
 */
export async function handleUnreadable(
  context: Context,
  error: unknown,
  delivery: Delivery,
  { functionQueue, id }: Pick<UnreadableMessage, "functionQueue" | "id">,
): Promise<void> {
  const { link, settings } = context;
  const { stream, seq, data, storedAt } = delivery;
  try {
    if (error instanceof NewerFormError) {
      leaveNewer(context, error, functionQueue);
      await markLeft(context, delivery);
      // Not for longer than a call may be in the hands of who has vanished: its consumer would seem to have forgotten it.
      giveBackLater(link, delivery, Math.min(MAX_LEAVE_MS, settings.ackWaitMs));
      return;
    }
    await deadLetterUnreadable(context, error, {
      stream,
      seq,
      data,
      storedAt,
      functionQueue,
      ...(id !== undefined && { id }),
    });
    acknowledge(link, delivery);
  } catch (err) {
    settings.log.warn({ err, stream, seq }, "a call that cannot be read could not be set aside yet");
  }
}

/** Says once that there are calls for the workers of a later release. */
function leaveNewer(context: Context, error: NewerFormError, { queue, name, namespace }: FunctionQueueRef): void {
  if (context.toldOfNewer) return;
  context.toldOfNewer = true;
  const facts = { function: name, namespace, queue, reason: error.message };
  context.settings.log.warn(facts, "calls of a later release are left to its workers");
}

/**
 * Keeps the message as a dead letter, as it is: a release that can read it can replay it. Repeated, it is stored once.
 * @throws as {@link Publisher.publish}; what is no {@link UnreadableError}
 */
export async function deadLetterUnreadable(
  context: Context,
  error: unknown,
  message: UnreadableMessage,
): Promise<void> {
  if (!(error instanceof UnreadableError)) throw error;
  const { functionQueue, data, storedAt } = message;
  const { records, publisher, settings } = context;
  const remains = remainsOf(data);
  const id = message.id ?? remains.id ?? idFor(context, message, remains.nonce);
  const reason = `the stored call cannot be read: ${error.message}`;
  const { callId = id, acceptedAt = storedAt } = remains;
  const known = {
    id,
    callId,
    queue: functionQueue.queue,
    function: functionQueue.name,
    namespace: functionQueue.namespace,
    acceptedAt,
  };
  const diedAt = Date.now();
  const letter: DeadLetter = { ...known, reason, attempts: 0, diedAt, bodyBytes: data.byteLength };
  settings.log.error(
    { callId: id, function: functionQueue.name, namespace: functionQueue.namespace, reason },
    "a call cannot be read",
  );
  await publisher.publish(deadSubject(functionQueue, id), data, {
    id: moveId(id, message),
    headers: letterHeaders(letter),
  });
  const record = { ...known, state: "dead", reason, attempts: 0, finishedAt: diedAt } as const;
  await records.finish(record);
  if (remains.batch?.kind === "member") await endMember(context, remains.batch, record);
  await records.removeOpen(id);
}

/** That it was given when it was accepted, where that can be told; else one that goes with its place. */
function idFor({ ids }: Context, { stream, seq }: MessagePosition, nonce: string | undefined): string {
  const made = hash("sha256", `${stream}:${seq}`).slice(0, 19);
  return ids.encode({ seq, nonce: nonce ?? `${made.slice(0, 3)}0${made.slice(4)}`, hidden: true });
}
