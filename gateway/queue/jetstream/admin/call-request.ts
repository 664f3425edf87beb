import { FaasError } from "../../../../contract/errors.ts";
import { readMessage } from "../../../nats/stored-message.ts";
import type { CallRequest } from "../../queue.ts";
import { findCall, findMessage } from "../calls/lookup.ts";
import { STREAMS } from "../client/names.ts";
import { BodyLostError } from "../store/bodies.ts";
import { decodeCall, type StoredCall } from "../store/call-codec.ts";
import { isCallId } from "../store/call-id.ts";
import type { Context } from "../store/context.ts";
import { isFinal } from "../store/record.ts";
import { NewerFormError, UnreadableError } from "../store/wire-fields.ts";

/**
 * @param asked as of {@link findCall}
 * @returns undefined when no message has it
 * @throws {FaasError} `unprocessable` when it cannot be read
 */
export async function requestOf(context: Context, asked: string, bodyBytes: number): Promise<CallRequest | undefined> {
  const stored = await findStored(context, asked);
  if (!stored) return undefined;
  const { method, path, query, headers, callbackUrl } = stored.call;
  return {
    method,
    path,
    query,
    headers,
    ...(callbackUrl !== undefined && { callbackUrl }),
    bodyBytes: stored.body instanceof Uint8Array ? stored.body.byteLength : stored.body.bytes,
    body: bodyBytes === 0 ? new Uint8Array() : (await bodyOf(context, stored)).subarray(0, bodyBytes),
  };
}

async function findStored(context: Context, asked: string): Promise<StoredCall | undefined> {
  const found = await findCall(context, asked);
  if (found && !isFinal(found.record.state)) {
    if (found.record.location?.stream === STREAMS.batches) return undefined;
    const message = found.stored ? found : await findMessage(context, found.record.id, found.record);
    if (message?.stored) return message.stored;
  }
  // What is known of a dead call is forgotten before its letter is.
  const id = found?.record.id ?? asked;
  return isCallId(id) ? await findLetter(context, id) : undefined;
}

async function findLetter({ link }: Context, id: string): Promise<StoredCall | undefined> {
  const letter = await readMessage(link, STREAMS.dead, { last_by_subj: `FAASLANE.dead.*.*.*.${id}` });
  try {
    return letter && decodeCall(letter.data);
  } catch (cause) {
    if (!(cause instanceof UnreadableError) && !(cause instanceof NewerFormError)) throw cause;
    throw new FaasError("unprocessable", `the stored call cannot be read: ${cause.message}`, { cause });
  }
}

async function bodyOf(context: Context, stored: StoredCall): Promise<Uint8Array> {
  try {
    return await context.bodyOf(stored);
  } catch (cause) {
    if (!(cause instanceof BodyLostError)) throw cause;
    throw new FaasError("unprocessable", "a part of the stored body is lost", { cause });
  }
}
