import { decodeJsonEvent } from "../../codec/json.ts";
import { fieldsOf, jsonObject, s3Notification } from "../aws/s3-records.ts";
import { ConnectorHeaders } from "../connector-headers.ts";
import type { MessageEvent } from "../emit-messages.ts";
import { eventOrMessage } from "../event-or-message.ts";
import { sourceUri } from "../plain-message.ts";

/** A message as it was received. */
export interface SqsMessage {
  readonly id: string;
  readonly body: string;
  readonly contentType?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly sentAt?: number | undefined;
}

export interface SqsQueue {
  readonly url: string;
  readonly name: string;
}

interface Declared {
  readonly namespace: string;
  readonly name: string;
  readonly contentType?: string | undefined;
}

/** What a message becomes: mostly one event; several or none for a notification of S3. */
export function sqsMessage(
  { id, body, contentType, sentAt }: SqsMessage,
  queue: SqsQueue,
  declared: Declared,
): { readonly events: readonly MessageEvent[]; readonly problem?: unknown } {
  const json = jsonObject(body);
  const told = s3Notification(json);
  if (told === "test") return { events: [] };
  const headers = new ConnectorHeaders("faaslane/sqs", queue.name)
    .add("X-SQS-Message-ID", id)
    .add("X-SQS-Queue-URL", queue.url).list;
  const common = { topic: queue.name, headers, from: `message ${id} of the queue ${queue.name}` };
  if (told) {
    // The records of one message come again together, though some of them may be stored.
    return { events: told.records.map((event, place) => ({ event, ...common, once: `${id}/${place}` })) };
  }
  const { event, problem } = eventOrMessage(
    () => (isStructured(json, contentType) ? decodeJsonEvent(Buffer.from(body)) : undefined),
    () => ({
      type: "com.faaslane.sqs.message",
      source: sourceUri("sqssources", declared, queue.name),
      id,
      subject: queue.name,
      timeMs: sentAt,
      contentType: contentType ?? declared.contentType,
      data: Buffer.from(body),
    }),
  );
  return { events: [{ event, ...common }], ...(problem !== undefined && { problem }) };
}

function isStructured(json: unknown, contentType: string | undefined): boolean {
  if (contentType?.toLowerCase().startsWith("application/cloudevents+json")) return true;
  const { specversion, id, source, type } = fieldsOf(json) ?? {};
  return [specversion, id, source, type].every((value) => typeof value === "string");
}
