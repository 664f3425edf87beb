import { createInbox, type Msg } from "nats";
import { FaasError } from "../../contract/errors.ts";
import type { Link } from "./connection.ts";
import { readMessage } from "./stored-message.ts";

/** A message as a direct read gives it. */
export interface DirectMessage {
  readonly subject: string;
  readonly seq: number;
  readonly data: Buffer;
  /** When the stream took it, in milliseconds since the epoch, by the server's clock. */
  readonly storedAt: number;
}

export interface DirectAnswer {
  readonly messages: readonly DirectMessage[];
  /** Further messages that fit, behind those. */
  readonly pending: number;
}

const TIMEOUT_MS = 5000;
/** Subjects that are asked for at a time, and messages that an answer may have. @see ADR-31 of NATS */
const MAX_SUBJECTS = 256;
const TOO_MANY = 413;

/** Where reading begins: a message's number, or a time by the server's clock. */
type From = { readonly seq: number } | { readonly since: number };

/**
 * Reads messages from a place on, in order. A copy that is behind may answer, and then gives less.
 * @param maxBytes after which an answer ends; one message comes always
 */
export async function readOn(
  link: Link,
  stream: string,
  { subject, limit, maxBytes, ...from }: From & { subject: string; limit: number; maxBytes?: number },
): Promise<DirectAnswer> {
  const start = "since" in from ? { start_time: new Date(from.since).toISOString() } : { seq: Math.max(1, from.seq) };
  const bounds = { batch: limit, ...(maxBytes !== undefined && { max_bytes: maxBytes }) };
  return await ask(link, stream, { ...start, next_by_subj: subject, ...bounds });
}

/** Reads the last message of each subject that fits one of the filters, however many there are. In order. */
export async function lastOf(link: Link, stream: string, filters: readonly string[]): Promise<DirectMessage[]> {
  if (filters.length > MAX_SUBJECTS) {
    const half = Math.ceil(filters.length / 2);
    const parts = [filters.slice(0, half), filters.slice(half)];
    return (await Promise.all(parts.map((part) => lastOf(link, stream, part)))).flat().toSorted(bySeq);
  }
  if (filters.length === 0) return [];
  try {
    return [...(await ask(link, stream, { multi_last: filters })).messages];
  } catch (error) {
    if (!(error instanceof TooManyError)) throw error;
  }
  if (filters.length > 1) {
    const parts = filters.map((filter) => lastOf(link, stream, [filter]));
    return (await Promise.all(parts)).flat().toSorted(bySeq);
  }
  return await allOf(link, stream, filters[0] as string);
}

/** All messages of a subject, of a stream that keeps one for each. */
async function allOf(link: Link, stream: string, subject: string): Promise<DirectMessage[]> {
  const all: DirectMessage[] = [];
  for (;;) {
    const from = (all.at(-1)?.seq ?? 0) + 1;
    const { messages, pending } = await readOn(link, stream, { seq: from, subject, limit: MAX_SUBJECTS });
    all.push(...messages);
    if (messages.length === 0 || pending === 0) return all;
  }
}

/** Reads one message; where a copy has none, the leader is asked, too. */
export async function readOne(link: Link, stream: string, seq: number): Promise<DirectMessage | undefined> {
  const { messages } = await ask(link, stream, { seq });
  return messages[0] ?? (await readMessage(link, stream, { seq }));
}

class TooManyError extends Error {}

async function ask(link: Link, stream: string, request: object): Promise<DirectAnswer> {
  const inbox = createInbox();
  const messages: DirectMessage[] = [];
  const single = "seq" in request && !("batch" in request);
  const answered = Promise.withResolvers<DirectAnswer>();
  const receive = (msg: Msg) => {
    const code = msg.headers?.code ?? 0;
    if (code === 404) answered.resolve({ messages, pending: 0 });
    else if (code === TOO_MANY) answered.reject(new TooManyError());
    else if (code === 204) answered.resolve({ messages, pending: Number(msg.headers?.get("Nats-Num-Pending") ?? 0) });
    else if (code >= 300)
      answered.reject(new FaasError("unavailable", `NATS cannot read: ${msg.headers?.description}`));
    else {
      messages.push(messageOf(msg));
      if (single) answered.resolve({ messages, pending: 0 });
    }
  };
  const timer = setTimeout(() => answered.reject(new FaasError("unavailable", "NATS does not answer")), TIMEOUT_MS);
  if (!link.connected) {
    clearTimeout(timer);
    throw new FaasError("unavailable", "NATS cannot be reached");
  }
  const subscription = link.nc.subscribe(inbox, {
    callback: (err, msg) => (err ? answered.reject(err) : receive(msg)),
  });
  try {
    link.nc.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(request), { reply: inbox });
    return await answered.promise;
  } finally {
    clearTimeout(timer);
    if (!link.nc.isClosed()) subscription.unsubscribe();
  }
}

function messageOf(msg: Msg): DirectMessage {
  const header = (name: string) => msg.headers?.get(name) ?? "";
  return {
    subject: header("Nats-Subject"),
    seq: Number(header("Nats-Sequence")),
    data: Buffer.from(msg.data),
    storedAt: Date.parse(header("Nats-Time-Stamp")),
  };
}

function bySeq(a: DirectMessage, b: DirectMessage): number {
  return a.seq - b.seq;
}
