import { parseJson } from "../../../contract/decode.ts";
import type { CloudEvent } from "../../codec/cloud-event.ts";
import { eventOfMessage } from "../plain-message.ts";

type Fields = Readonly<Record<string, unknown>>;

/** JSON that cannot be more than a message holds is looked at. */
const MAX_VALUES = 500_000;

/** What a message tells: events of a bucket, that a bucket is bound to the queue, or something else. */
export type Notification = { readonly records: readonly CloudEvent[] } | "test" | undefined;

/** Of S3 itself, and of stores that speak as it does: `minio:s3`, `ceph:s3`. */
const EVENT_SOURCE = /^[a-z0-9.-]{1,64}:s3$/;
/** Before the names of events, as some stores write them. */
const NAME_PREFIX = /^s3:/;

/** Looks for notifications of S3, as they are or inside one of SNS. */
export function s3Notification(body: unknown): Notification {
  const told = fieldsOf(body);
  if (!told) return undefined;
  const inner = told.Type === "Notification" && typeof told.Message === "string" ? jsonObject(told.Message) : undefined;
  const { Event, Records } = fieldsOf(inner) ?? told;
  if (Event === "s3:TestEvent") return "test";
  if (!Array.isArray(Records) || Records.length === 0) return undefined;
  const records = Records.map(fieldsOf);
  return records.every((record) => EVENT_SOURCE.test(textOf(record?.eventSource)) && textOf(record?.eventName) !== "")
    ? { records: records.map((record) => s3Event(record as Fields)) }
    : undefined;
}

/** What can be subscribed to: `ObjectCreated:Put`, `notification`, or the type of an event that is of neither service. */
export function eventName({ attributes }: CloudEvent): string {
  return String(attributes.type).replace(/^com\.amazonaws\.(s3|sns)\./, "");
}

/** What tells the event of a record from others, also from those of one request that concerns several objects. */
export function recordName({ attributes, data }: CloudEvent): string {
  const { s3 } = JSON.parse(String(data)) as { s3?: { object?: Fields } };
  const { sequencer, versionId } = fieldsOf(s3?.object) ?? {};
  const { id, source, subject = "" } = attributes;
  return [id, source, textOf(sequencer), textOf(versionId), subject].join("/");
}

/** The event of one record, named as Knative's source for S3 names it. */
export function s3Event(record: Fields): CloudEvent {
  const { eventSource, awsRegion, eventName, eventTime } = record;
  const s3 = fieldsOf(record.s3);
  const bucket = textOf(fieldsOf(s3?.bucket)?.name);
  const { key, sequencer, versionId } = fieldsOf(s3?.object) ?? {};
  const answer = fieldsOf(record.responseElements);
  const [request, id2] = [textOf(answer?.["x-amz-request-id"]), textOf(answer?.["x-amz-id-2"])];
  const subject = decodedKey(textOf(key));
  return eventOfMessage({
    type: `com.amazonaws.s3.${textOf(eventName).replace(NAME_PREFIX, "")}`,
    // Stores of one's own have no region, or an empty one.
    source: [textOf(eventSource), textOf(awsRegion), bucket].filter((part) => part !== "").join("."),
    id: request && id2 ? `${request}.${id2}` : textOf(sequencer) || `${eventTime}/${subject}/${textOf(versionId)}`,
    subject,
    timeMs: typeof eventTime === "string" ? Date.parse(eventTime) : undefined,
    contentType: "application/json",
    data: Buffer.from(JSON.stringify(record)),
  });
}

/** Parsed JSON; undefined for a text that is none. */
export function jsonObject(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return parseJson(text, "message", MAX_VALUES);
  } catch {
    return undefined;
  }
}

export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Keys in notifications are written as forms write their fields. */
function decodedKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll("+", " "));
  } catch {
    return key;
  }
}
