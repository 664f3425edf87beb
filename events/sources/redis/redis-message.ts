import type { CloudEvent } from "../../codec/cloud-event.ts";
import { decodeJsonEvent } from "../../codec/json.ts";
import { decodeKafka } from "../../codec/messages.ts";
import { ConnectorHeaders } from "../connector-headers.ts";
import type { MessageEvent } from "../emit-messages.ts";
import { eventOrMessage } from "../event-or-message.ts";
import { sourceUri } from "../plain-message.ts";

/** An entry of a stream as it was read. */
export interface StreamEntry {
  readonly stream: string;
  /** `MILLISECONDS-NUMBER` */
  readonly id: string;
  /** In their order; names may be there several times, of which the last counts. */
  readonly fields: readonly (readonly [name: Buffer, value: Buffer])[];
}

/** Fields that hold the data of an event whose attributes are in fields beside it. */
const DATA_FIELDS = ["data", "value"];

/** The event of an entry. Its place in Redis names it, so that it is the same when it is read again. */
export function redisMessage(
  { stream, id, fields }: StreamEntry,
  declared: { readonly namespace: string; readonly name: string },
): MessageEvent & { readonly problem?: unknown } {
  const named = new Map(fields.map(([name, value]) => [name.toString(), value]));
  const decoded = eventOrMessage(
    () => eventIn(named),
    () => ({
      type: "com.faaslane.redis.message",
      source: sourceUri("redissources", declared, stream),
      id: `${stream}/${id}`,
      subject: stream,
      timeMs: Number(id.split("-", 1)[0]),
      contentType: "application/json",
      data: Buffer.from(JSON.stringify(Object.fromEntries([...named].map(asMember)))),
    }),
  );
  const headers = new ConnectorHeaders("faaslane/redis", stream).add("X-Redis-Entry-Id", id);
  return { ...decoded, topic: stream, headers: headers.list, from: `${stream}/${id}` };
}

/** An event as a whole in the only field, or its attributes in `ce_` fields. */
function eventIn(named: ReadonlyMap<string, Buffer>): CloudEvent | undefined {
  const rest = [...named].filter(([name]) => name !== "content-type");
  const only = rest.length === 1 ? rest[0]?.[1] : undefined;
  if (only?.includes('"specversion"') && only.includes('"source"')) return decodeJsonEvent(only);
  const data = DATA_FIELDS.map((name) => named.get(name)).find((value) => value !== undefined);
  return decodeKafka({ value: data ?? null, headers: named });
}

/** Bytes that are no text go as base64, as in the JSON of events. */
function asMember([name, value]: readonly [string, Buffer]): [string, string] {
  const text = value.toString();
  return Buffer.from(text).equals(value) ? [name, text] : [`${name}_base64`, value.toString("base64")];
}
