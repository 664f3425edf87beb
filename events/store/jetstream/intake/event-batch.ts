import { ErrorCode, NatsError, headers as newHeaders } from "nats";
import { FaasError } from "../../../../contract/errors.ts";
import { API_ERRORS, type Link } from "../../../../gateway/nats/connection.ts";
import { readMessage } from "../../../../gateway/nats/stored-message.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { EVENT_STREAMS, newId, onceSubject } from "../client/names.ts";
import { ttlText } from "../client/records.ts";

export interface BatchMessage {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly ttlS: number;
  /** The subject must have no message yet. */
  readonly first?: boolean;
}

/** For what the server may ask about a batch later: a publisher asks within seconds. */
const MARK_TTL_S = 600;
const ANSWER_MS = 5000;
const AGAIN_MS = 100;
/** Messages in a batch, by the server's limit; one more marks it. */
export const MAX_BATCH_MESSAGES = 999;

interface Answer {
  readonly seq?: number;
  readonly count?: number;
  readonly error?: { readonly err_code: number; readonly description: string };
}

/**
 * Stores messages in the log, all or none of them.
 * @returns number of the first one; undefined when one of those that are to be the first of their subject is not
 * @throws {FaasError} `unavailable` when it is not stored in time
 * @see ADR-50 of NATS
 */
export async function storeBatch(
  { link, mend }: { readonly link: Link; readonly mend: () => void },
  messages: readonly BatchMessage[],
  deadline: number,
): Promise<number | undefined> {
  const mark: BatchMessage = {
    subject: onceSubject(undefined, `batch ${newId()}`),
    payload: new Uint8Array(0),
    ttlS: MARK_TTL_S,
    first: true,
  };
  let cause: unknown;
  for (let tries = 0; tries === 0 || performance.now() < deadline; tries++) {
    if (!link.connected) break;
    if (tries > 0) await sleep(AGAIN_MS);
    try {
      // An answer may have been lost: then the mark is there.
      const before = tries === 0 ? undefined : await seqOf(link, mark.subject);
      if (before !== undefined) return before + 1;
      const answer = await send(link, [mark, ...messages]);
      if (!answer.error) return (answer.seq as number) - messages.length + 1;
      if (answer.error.err_code === API_ERRORS.wrongLastSequence) {
        const stored = await seqOf(link, mark.subject);
        return stored === undefined ? undefined : stored + 1;
      }
      cause = new Error(answer.error.description);
    } catch (error) {
      cause = error;
      if (error instanceof NatsError && error.code === ErrorCode.NoResponders) mend();
    }
  }
  throw new FaasError("unavailable", "the event store's NATS server cannot store", { cause });
}

async function seqOf(link: Link, subject: string): Promise<number | undefined> {
  return (await readMessage(link, EVENT_STREAMS.log, { last_by_subj: subject }))?.seq;
}

async function send(link: Link, messages: readonly BatchMessage[]): Promise<Answer> {
  const batch = newId();
  for (const [index, { subject, payload, ttlS, first }] of messages.entries()) {
    const headers = newHeaders();
    headers.set("Nats-Batch-Id", batch);
    headers.set("Nats-Batch-Sequence", String(index + 1));
    headers.set("Nats-TTL", ttlText(ttlS));
    if (first) headers.set("Nats-Expected-Last-Subject-Sequence", "0");
    if (index < messages.length - 1) {
      link.nc.publish(subject, payload, { headers });
      continue;
    }
    headers.set("Nats-Batch-Commit", "1");
    return (await link.nc.request(subject, payload, { headers, timeout: ANSWER_MS })).json<Answer>();
  }
  throw new TypeError("a batch of nothing");
}
