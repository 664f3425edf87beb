import { API_ERRORS, isApiError, type Link } from "./connection.ts";

export interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly data: Buffer;
  /** As it stands in the message: `NATS/1.0`, then lines. */
  readonly headers: string;
  /** When the stream took it, in milliseconds since the epoch, by the server's clock. */
  readonly storedAt: number;
}

interface Answer {
  readonly message: {
    readonly subject: string;
    readonly seq: number;
    readonly time: string;
    readonly data?: string;
    readonly hdrs?: string;
  };
}

type Which =
  | { readonly seq: number }
  | { readonly last_by_subj: string }
  | { readonly seq: number; readonly next_by_subj: string };

/**
 * Reads a message where the stream's leader has it: what has been stored is seen. (Direct reads may be behind.)
 * @returns undefined when there is none, or no stream
 */
export async function readMessage(link: Link, stream: string, which: Which): Promise<StoredMessage | undefined> {
  try {
    const { message } = await link.api<Answer>(`STREAM.MSG.GET.${stream}`, which);
    return {
      subject: message.subject,
      seq: message.seq,
      data: Buffer.from(message.data ?? "", "base64"),
      headers: Buffer.from(message.hdrs ?? "", "base64").toString(),
      storedAt: Date.parse(message.time),
    };
  } catch (error) {
    if (isApiError(error, API_ERRORS.messageNotFound, API_ERRORS.streamNotFound)) return undefined;
    throw error;
  }
}

/** @returns whether there was one */
export async function deleteMessage(link: Link, stream: string, seq: number): Promise<boolean> {
  try {
    await link.api(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true });
    return true;
  } catch (error) {
    // 10043 and 10057: "no message found" in the words of two kinds of stores.
    if (isApiError(error, API_ERRORS.messageNotFound, API_ERRORS.streamNotFound, 10043, 10057)) return false;
    throw error;
  }
}

/** Removes all messages of a subject, which may have wildcards. */
export async function purgeSubject(link: Link, stream: string, subject: string): Promise<void> {
  try {
    await link.api(`STREAM.PURGE.${stream}`, { filter: subject });
  } catch (error) {
    if (!isApiError(error, API_ERRORS.streamNotFound)) throw error;
  }
}
