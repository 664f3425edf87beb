import { decodeKafka } from "../../codec/messages.ts";
import { ConnectorHeaders } from "../connector-headers.ts";
import type { MessageEvent } from "../emit-messages.ts";
import { eventOrMessage } from "../event-or-message.ts";
import { sourceUri } from "../plain-message.ts";

/** A record as it was fetched. */
export interface FetchedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Milliseconds since the epoch. */
  readonly timestamp: bigint;
  readonly key?: Buffer | null | undefined;
  /** Null for a tombstone. */
  readonly value?: Buffer | null | undefined;
  /** In their order; names may be there several times. */
  readonly headerEntries: readonly (readonly [name: Buffer, value: Buffer | null])[];
}

interface Declared {
  readonly namespace: string;
  readonly name: string;
  readonly contentType?: string | undefined;
}

const TEXT_KEY = /^[\x20-\x7e]+$/;

/** The event of a record. Its place in Kafka names it, so that it is the same when it is fetched again. */
export function kafkaMessage(record: FetchedRecord, declared: Declared): MessageEvent & { readonly problem?: unknown } {
  const { topic, partition, offset, timestamp } = record;
  const headers = new Map(record.headerEntries.map(([name, value]) => [name.toString(), value ?? Buffer.alloc(0)]));
  const key = record.key ?? undefined;
  const value = record.value ?? null;
  const contentType = headers.get("content-type")?.toString();
  const decoded = eventOrMessage(
    () => decodeKafka({ value, headers }),
    () => ({
      type: "dev.knative.kafka.event",
      source: sourceUri("kafkasources", declared, topic),
      id: `${topic}/${partition}/${offset}`,
      subject: `partition:${partition}#${offset}`,
      timeMs: Number(timestamp),
      contentType: contentType ?? declared.contentType,
      extensions: {
        ...(key && { partitionkey: textOf(key), key: textOf(key) }),
        ...Object.fromEntries(
          [...headers]
            .filter(([name]) => name !== "content-type")
            .map(([name, bytes]) => [`kafkaheader${name.toLowerCase().replace(/[^a-z0-9]/g, "")}`, textOf(bytes)]),
        ),
      },
      ...(value && { data: value }),
    }),
  );
  return {
    ...decoded,
    topic,
    headers: connectorHeaders(record, headers, key),
    from: `${topic}/${partition}/${offset}`,
  };
}

/** As base64 where it is no text. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) && !/\p{Cc}/u.test(text) ? text : bytes.toString("base64");
}

function connectorHeaders(record: FetchedRecord, headers: ReadonlyMap<string, Buffer>, key: Buffer | undefined) {
  const sent = new ConnectorHeaders("openfaasltd/kafka-connector", record.topic)
    .add("X-Kafka-Partition", String(record.partition))
    .add("X-Kafka-Offset", String(record.offset));
  if (key && TEXT_KEY.test(key.toString("latin1"))) sent.add("X-Kafka-Key", key.toString("latin1"));
  else if (key) sent.add("X-Kafka-Key", key.toString("base64")).add("X-Kafka-Key-Enc", "b64");
  for (const [name, bytes] of headers) {
    // Which the record would say of itself otherwise.
    if (!/^(partition|offset|key|key-enc)$/i.test(name)) sent.add(`X-Kafka-${name}`, bytes);
  }
  return sent.list;
}
