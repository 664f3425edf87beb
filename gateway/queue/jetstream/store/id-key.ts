import { randomBytes } from "node:crypto";
import { API_ERRORS, isApiError, type Link } from "../../../nats/connection.ts";
import type { Publisher } from "../../../nats/publisher.ts";
import { readMessage } from "../../../nats/stored-message.ts";
import { ID_KEY_SUBJECT, STREAMS } from "../client/names.ts";

const KEY_BYTES = 32;

/**
 * The key that all processes make ids with; the first of them chooses it.
 * @param own to be kept where the server has none (any more)
 * @throws as {@link Publisher.publish}, and when the server does not answer
 */
export async function ensureIdKey(
  { link, publisher }: { readonly link: Link; readonly publisher: Publisher },
  own?: string,
) {
  const find = async () => (await readMessage(link, STREAMS.keys, { last_by_subj: ID_KEY_SUBJECT }))?.data.toString();
  const found = await find();
  if (found !== undefined) return found;
  const made = own ?? randomBytes(KEY_BYTES).toString("base64url");
  try {
    await publisher.publish(ID_KEY_SUBJECT, Buffer.from(made), { first: true });
    return made;
  } catch (error) {
    if (!isApiError(error, API_ERRORS.wrongLastSequence)) throw error;
    return (await find()) ?? made;
  }
}
