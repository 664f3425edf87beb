import { createHash } from "node:crypto";
import { decodeAmqp } from "../../codec/messages.ts";
import { ConnectorHeaders } from "../connector-headers.ts";
import type { MessageEvent } from "../emit-messages.ts";
import { eventOrMessage } from "../event-or-message.ts";
import { sourceUri } from "../plain-message.ts";

/** A message as it was delivered. */
export interface DeliveredMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly messageId?: string | undefined;
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly correlationId?: string | undefined;
  /** Seconds since the epoch. */
  readonly timestamp?: number | undefined;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
  readonly body: Buffer;
}

interface Declared {
  readonly namespace: string;
  readonly name: string;
  readonly contentType?: string | undefined;
}

/** What the server adds to a message each time that it delivers it. */
const CHANGING = /^x-(delivery-count|death|first-death-|last-death-|opt-)/;

/** The event of a message. One without an id is named by what it says, so that it is the same when it is delivered again. */
export function rabbitMessage(
  delivered: DeliveredMessage,
  queue: string,
  declared: Declared,
): MessageEvent & { readonly problem?: unknown } {
  const { routingKey, contentType, correlationId, timestamp, body } = delivered;
  const id = delivered.messageId || digestOf(delivered);
  const decoded = eventOrMessage(
    () =>
      decodeAmqp({
        ...(contentType !== undefined && { contentType }),
        applicationProperties: delivered.headers ?? {},
        body,
      }),
    () => ({
      type: "dev.knative.rabbitmq.event",
      source: sourceUri("rabbitmqsources", declared, queue),
      id,
      subject: id,
      timeMs: timestamp === undefined ? undefined : timestamp * 1000,
      contentType: contentType ?? declared.contentType,
      extensions: { ...(correlationId && { correlationid: correlationId }) },
      data: body,
    }),
  );
  const headers = new ConnectorHeaders("openfaasltd/rabbitmq-connector", queue)
    .add("X-Rabbitmq-Msg-Id", delivered.messageId || undefined)
    .add("X-Rabbitmq-Routing-Key", routingKey || undefined);
  return { ...decoded, topic: queue, headers: headers.list, from: `message ${id} of the queue ${queue}` };
}

function digestOf({ exchange, routingKey, timestamp, correlationId, headers = {}, body }: DeliveredMessage): string {
  const lasting = Object.entries(headers).filter(([name]) => !CHANGING.test(name));
  const said = JSON.stringify([exchange, routingKey, timestamp, correlationId, lasting], (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  return createHash("sha256").update(said).update(body).digest("hex");
}
