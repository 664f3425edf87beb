import type { ConsumerInfo } from "nats";
import { decodeCall, idOf, type StoredCall } from "./call-codec.ts";
import { API_ERRORS, isApiError } from "./connection.ts";
import type { Context } from "./context.ts";
import { moveOn, type WaitingCall } from "./move.ts";
import { lookUpPast } from "./past.ts";
import { deleteMessage, readMessage, type StoredMessage } from "./stored-message.ts";

/** The messages of a consumer. */
export interface Flock {
  readonly stream: string;
  readonly consumer: string;
  /** May have a wildcard as its last token. */
  readonly subject: string;
  /** Gives a call that is not over another message. Default: puts it into its queue. */
  readonly revive?: (context: Context, call: WaitingCall) => Promise<void>;
}

/** Messages read in one sweep, those of others among them. */
const MAX_READ = 1000;

/**
 * Takes care of messages that their consumer gives to nobody. A server that is killed can forget what it deleted last,
 * or what it delivered, while its consumer remembers the acknowledgements. The record of a call tells which: those
 * that are over are deleted, all others are given a message anew.
 * @param start the number of a message to begin at
 * @param all takes every message for one, not only those that the consumer has behind it for certain
 * @returns where the next sweep is to begin
 * @throws {FaasError} `unavailable` when the server does not answer
 */
export async function sweepStrays(
  context: Context,
  flock: Flock,
  { start = 1, all = false }: { readonly start?: number; readonly all?: boolean } = {},
): Promise<number> {
  const { link, settings } = context;
  const { stream, subject } = flock;
  const until = all ? Number.POSITIVE_INFINITY : await ackFloor(context, flock);
  let revived = 0;
  let next = start;
  for (let count = 0; ; count++) {
    // By subject, servers (2.9.10) do not find the ones that they have forgotten to delete.
    const message = await readMessage(link, stream, { seq: next, next_by_subj: ">" });
    if (!message || message.seq > until) next = 1;
    else {
      if (isOf(message.subject, subject) && (await settleStray(context, flock, message))) revived++;
      next = message.seq + 1;
    }
    if (next === 1 || count === MAX_READ) break;
  }
  if (revived > 0) settings.log.warn({ stream, subject, calls: revived }, "calls that were stuck are queued anew");
  return next;
}

function isOf(subject: string, of: string): boolean {
  return of.endsWith("*") || of.endsWith(">") ? subject.startsWith(of.slice(0, -1)) : subject === of;
}

/** Everything up to there has been acknowledged. */
async function ackFloor({ link }: Context, { stream, consumer }: Flock): Promise<number> {
  try {
    return (await link.api<ConsumerInfo>(`CONSUMER.INFO.${stream}.${consumer}`)).ack_floor.stream_seq;
  } catch (error) {
    if (isApiError(error, API_ERRORS.consumerNotFound, API_ERRORS.streamNotFound)) return 0;
    throw error;
  }
}

/** @returns whether the call goes on */
async function settleStray(
  context: Context,
  { stream, revive = moveOn }: Flock,
  { seq, data }: StoredMessage,
): Promise<boolean> {
  let stored: StoredCall;
  try {
    stored = decodeCall(data);
  } catch (err) {
    context.settings.log.error({ err, stream, seq }, "a stored call cannot be read");
    await deleteMessage(context.link, stream, seq);
    return false;
  }
  const id = idOf(stored, seq);
  const place = { stream, seq };
  const past = await lookUpPast(context, id, place, stored);
  if (past.kind === "open") await revive(context, { id, place, stored, open: past.record });
  await deleteMessage(context.link, stream, seq);
  return past.kind === "open";
}
