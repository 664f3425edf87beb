import type { FunctionRef } from "../../../../contract/functions.ts";

/**
 * Streams and subjects. Those of calls that wait start with the queue's name, which is in lower case; all others start
 * with `FAASLANE`, so that no name of a queue meets them.
 */
export const STREAMS = {
  later: "FAASLANE_LATER",
  open: "FAASLANE_OPEN",
  finished: "FAASLANE_FINISHED",
  dead: "FAASLANE_DEAD",
  bodies: "FAASLANE_BODIES",
  aliases: "FAASLANE_ALIASES",
  batches: "FAASLANE_BATCHES",
  members: "FAASLANE_MEMBERS",
  keys: "FAASLANE_KEYS",
} as const;

const QUEUE_STREAM_PREFIX = "OF_";

/** Not stored: between processes that are connected just now. */
export const SIGNALS = {
  /** A function has work: `stream subject`. */
  work: "FAASLANE.signal.work",
  /** A call is to be stopped: its id. */
  cancel: "FAASLANE.signal.cancel",
  /** Calls wait for their time: the first bucket. */
  later: "FAASLANE.signal.later",
  /** What a process is doing. */
  activity: "FAASLANE.signal.activity",
} as const;

export interface FunctionQueueRef extends FunctionRef {
  readonly queue: string;
  /** Of its calls, those that have only their callback left. */
  readonly callbacks?: true;
}

/** Of what does not tell whom it is for. */
export const UNKNOWN_QUEUE: FunctionQueueRef = { queue: "unknown", namespace: "unknown", name: "unknown" };

export function queueStream(queue: string): string {
  return QUEUE_STREAM_PREFIX + queue;
}

/** @returns undefined for a stream that is no queue's */
export function queueOfStream(stream: string): string | undefined {
  return stream.startsWith(QUEUE_STREAM_PREFIX) ? stream.slice(QUEUE_STREAM_PREFIX.length) : undefined;
}

/**
 * Behind the function's name: those who have only their callback left wait in a function queue of their own. No name has it, and
 * workers of earlier releases, which would run the function again, take it for no function queue at all.
 */
const CALLBACKS = "%~callbacks";

/** `queue.namespace.function`, each one token. */
export function functionQueueSubject(functionQueue: FunctionQueueRef): string {
  return functionQueue.callbacks ? `${functionSubject(functionQueue)}${CALLBACKS}` : functionSubject(functionQueue);
}

function functionSubject({ queue, namespace, name }: FunctionQueueRef): string {
  return `${queue}.${token(namespace)}.${token(name)}`;
}

/** The subject of its function's other calls, for one of either. */
export function plainSubject(subject: string): string {
  return isCallbackSubject(subject) ? subject.slice(0, -CALLBACKS.length) : subject;
}

/** @param subject of its function's other calls */
export function callbackSubject(subject: string): string {
  return `${subject}${CALLBACKS}`;
}

export function isCallbackSubject(subject: string): boolean {
  return subject.endsWith(CALLBACKS);
}

/** @returns undefined for what {@link functionQueueSubject} does not make */
export function parseFunctionQueue(subject: string): FunctionQueueRef | undefined {
  const [queue, namespace, name, ...more] = plainSubject(subject).split(".");
  if (!queue || !namespace || !name || more.length > 0) return undefined;
  const callbacks = isCallbackSubject(subject) ? ({ callbacks: true } as const) : {};
  try {
    return { queue, namespace: decodeURIComponent(namespace), name: decodeURIComponent(name), ...callbacks };
  } catch {
    return undefined;
  }
}

/** Calls that wait for their time, in the bucket of this name. */
export function bucketSubject(bucket: string, functionQueue: FunctionQueueRef): string {
  return `FAASLANE.later.${bucket}.${functionSubject(functionQueue)}`;
}

/** Of a consumer for one subject: dots are not allowed there. */
export function consumerName(subject: string): string {
  return subject.replaceAll(".", "~");
}

export function openSubject(id: string): string {
  return `FAASLANE.open.${id}`;
}

export function finishedSubject(id: string): string {
  return `FAASLANE.finished.${id}`;
}

export function aliasSubject(kind: "call" | "key" | "server", digest: string): string {
  return `FAASLANE.alias.${kind}.${digest}`;
}

/** What ids are made with. */
export const ID_KEY_SUBJECT = "FAASLANE.key.ids";

/** Of bodies too large for a message: of calls, and of results, which go with the records of finished calls. */
export const BODY_PREFIX = "FAASLANE.body";
export const RESULT_PREFIX = "FAASLANE.result";

export function deadSubject(functionQueue: FunctionQueueRef, id: string): string {
  return `FAASLANE.dead.${functionSubject(functionQueue)}.${id}`;
}

/** Of the consumer for batches. */
export const BATCHES_FILTER = "FAASLANE.batch.*";

export function batchSubject(id: string): string {
  return `FAASLANE.batch.${id}`;
}

/** The batch whose subject it is. */
export function batchOf(subject: string): string {
  return subject.slice(batchSubject("").length);
}

/** What became of a member. */
export function endedSubject(batch: string, index: number): string {
  return `FAASLANE.member.${batch}.ended.${index}`;
}

export function memberResultSubject(batch: string, index: number): string {
  return `FAASLANE.member.${batch}.result.${index}`;
}

/** Which call a member is; `*` for all of them. */
export function memberSubject(batch: string, index: number | "*"): string {
  return `FAASLANE.member.${batch}.call.${index}`;
}

/** All that is stored of one member of a batch. */
export function memberSubjects(batch: string, index: number): string {
  return `FAASLANE.member.${batch}.*.${index}`;
}

/** All that is stored of the members of a batch. */
export function membersOf(batch: string): string {
  return `FAASLANE.member.${batch}.>`;
}

/** As one token of a subject: letters, digits, `-`, `_` and `%` only. */
export function token(text: string): string {
  return encodeURIComponent(text).replace(/[.!~*'()]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
