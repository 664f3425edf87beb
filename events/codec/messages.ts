import { FaasError } from "../../contract/errors.ts";
import { attributeText, type CloudEvent, checkedEvent, type EventValue, isAttributeName } from "./cloud-event.ts";
import { decodeJsonEvent, encodeJsonEvent } from "./json.ts";
import { decodePercent, decodeUtf8, encodePercent } from "./percent.ts";

const STRUCTURED = "application/cloudevents";
const JSON_EVENT = `${STRUCTURED}+json; charset=utf-8`;
const REQUIRED = ["specversion", "id", "source", "type"];

/** Whether a message is an event as a whole, by its content type. */
function isStructured(contentType: string | undefined): boolean {
  return contentType?.toLowerCase().startsWith(STRUCTURED) ?? false;
}

/** @throws {FaasError} `unsupportedType` */
function decodeStructured(contentType: string, payload: Buffer): CloudEvent {
  const [type = ""] = contentType.toLowerCase().split(";", 1);
  if (type.trim() === `${STRUCTURED}+json`) return decodeJsonEvent(payload);
  throw new FaasError(
    "unsupportedType",
    `content-type: events come as JSON, not as ${JSON.stringify(type.trim()).slice(0, 80)}`,
  );
}

function isBinary(attributes: Readonly<Record<string, unknown>>): boolean {
  return REQUIRED.every((name) => attributes[name] !== undefined);
}

function binaryEvent(
  attributes: Readonly<Record<string, EventValue>>,
  contentType: string | undefined,
  data: Buffer | undefined,
): CloudEvent {
  return checkedEvent({
    attributes: { ...attributes, ...(contentType !== undefined && { datacontenttype: contentType }) },
    ...(data && { data }),
  });
}

/** A record of Kafka, as far as it matters here. */
export interface KafkaRecord {
  readonly key?: Buffer;
  /** Null for a tombstone: an event without data. */
  readonly value: Buffer | null;
  readonly headers: ReadonlyMap<string, Buffer>;
}

const KAFKA_PREFIX = "ce_";

/** The event of a record; undefined when it is none. @throws {FaasError} `invalid` when it is one and breaks a rule */
export function decodeKafka({ value, headers }: KafkaRecord): CloudEvent | undefined {
  const typeBytes = headers.get("content-type");
  const contentType = typeBytes && decodeUtf8(typeBytes, "content-type");
  if (contentType !== undefined && isStructured(contentType)) {
    if (!value) throw new FaasError("invalid", "event: a structured one needs a value");
    return decodeStructured(contentType, value);
  }
  const attributes: Record<string, EventValue> = {};
  for (const [name, bytes] of headers) {
    if (name.startsWith(KAFKA_PREFIX)) attributes[name.slice(KAFKA_PREFIX.length)] = decodeUtf8(bytes, name);
  }
  return isBinary(attributes) ? binaryEvent(attributes, contentType, value ?? undefined) : undefined;
}

/** @param structured as JSON in the value instead of headers */
export function encodeKafka(event: CloudEvent, structured = false): Omit<KafkaRecord, "key"> {
  if (structured)
    return { headers: new Map([["content-type", Buffer.from(JSON_EVENT)]]), value: encodeJsonEvent(event) };
  const { datacontenttype, ...rest } = event.attributes;
  const headers = Object.entries(rest).map(
    ([name, value]) => [KAFKA_PREFIX + name, Buffer.from(attributeText(value))] as const,
  );
  const type = datacontenttype === undefined ? [] : [["content-type", Buffer.from(String(datacontenttype))] as const];
  return { headers: new Map([...headers, ...type]), value: event.data ?? null };
}

/** A message of NATS, as far as it matters here. */
export interface NatsMessage {
  /** With the names as they were sent; the last one of a name counts. */
  readonly headers: ReadonlyMap<string, string>;
  readonly payload: Buffer;
}

const NATS_PREFIX = "ce-";

/** As {@link decodeKafka}. */
export function decodeNats({ headers, payload }: NatsMessage): CloudEvent | undefined {
  const attributes: Record<string, EventValue> = {};
  let contentType: string | undefined;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === "content-type") contentType = value;
    else if (lower.startsWith(NATS_PREFIX)) attributes[lower.slice(NATS_PREFIX.length)] = decodePercent(value, name);
  }
  if (contentType !== undefined && isStructured(contentType)) return decodeStructured(contentType, payload);
  if (!isBinary(attributes)) return undefined;
  // Here the type of the data is an attribute like the others.
  return binaryEvent(attributes, undefined, payload.length > 0 ? payload : undefined);
}

export function encodeNats(event: CloudEvent, structured = false): NatsMessage {
  if (structured) return { headers: new Map([["Content-Type", JSON_EVENT]]), payload: encodeJsonEvent(event) };
  const headers = Object.entries(event.attributes).map(
    ([name, value]) => [NATS_PREFIX + name, encodePercent(attributeText(value))] as const,
  );
  return { headers: new Map(headers), payload: event.data ?? Buffer.alloc(0) };
}

/** A message of MQTT 5; one of 3.1.1 has no properties, and can only be a structured event. */
export interface MqttMessage {
  readonly contentType?: string;
  readonly userProperties?: Readonly<Record<string, string | string[]>>;
  readonly payload: Buffer;
}

/** As {@link decodeKafka}. Of MQTT 3.1.1, what looks like a JSON object with an event's attributes is one. */
export function decodeMqtt({ contentType, userProperties, payload }: MqttMessage): CloudEvent | undefined {
  if (contentType !== undefined && isStructured(contentType)) return decodeStructured(contentType, payload);
  if (userProperties === undefined && contentType === undefined) {
    return payload.includes('"specversion"') && payload.includes('"source"') ? decodeJsonEvent(payload) : undefined;
  }
  const attributes: Record<string, EventValue> = {};
  for (const [name, value] of Object.entries(userProperties ?? {})) {
    if (!isAttributeName(name)) continue; // other properties than those of an event
    if (typeof value !== "string") throw new FaasError("invalid", `${name}: is there more than once`);
    attributes[name] = value;
  }
  if (!isBinary(attributes)) return undefined;
  return binaryEvent(attributes, contentType, payload.length > 0 ? payload : undefined);
}

/** @param structured always for MQTT 3.1.1 */
export function encodeMqtt(event: CloudEvent, structured = false): MqttMessage {
  if (structured) return { contentType: JSON_EVENT, payload: encodeJsonEvent(event) };
  const { datacontenttype, ...rest } = event.attributes;
  const userProperties = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, attributeText(value)]));
  return {
    ...(datacontenttype !== undefined && { contentType: String(datacontenttype) }),
    userProperties,
    payload: event.data ?? Buffer.alloc(0),
  };
}

/** A message of AMQP 1.0, or of RabbitMQ with headers for application properties. */
export interface AmqpMessage {
  readonly contentType?: string;
  readonly applicationProperties: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

const AMQP_PREFIX = "cloudEvents_";
const AMQP_OTHER_PREFIX = "cloudEvents:";

/** As {@link decodeKafka}; properties may be texts or values of their own types. */
export function decodeAmqp({ contentType, applicationProperties, body }: AmqpMessage): CloudEvent | undefined {
  if (contentType !== undefined && isStructured(contentType)) return decodeStructured(contentType, body);
  const attributes: Record<string, EventValue> = {};
  for (const [property, value] of Object.entries(applicationProperties)) {
    const prefix = [AMQP_PREFIX, AMQP_OTHER_PREFIX].find((each) => property.startsWith(each));
    if (prefix === undefined) continue;
    const attribute = attributeOf(value);
    if (attribute === undefined)
      throw new FaasError("invalid", `${property.slice(0, 80)}: must be a text, an integer, true or false, or a time`);
    attributes[property.slice(prefix.length)] = attribute;
  }
  return isBinary(attributes) ? binaryEvent(attributes, contentType, body.length > 0 ? body : undefined) : undefined;
}

function attributeOf(value: unknown): EventValue | undefined {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (value instanceof Date) return value.toISOString();
  return Buffer.isBuffer(value) ? value.toString("base64") : undefined;
}

export function encodeAmqp(event: CloudEvent, structured = false): AmqpMessage {
  if (structured) return { contentType: JSON_EVENT, applicationProperties: {}, body: encodeJsonEvent(event) };
  const { datacontenttype, ...rest } = event.attributes;
  return {
    ...(datacontenttype !== undefined && { contentType: String(datacontenttype) }),
    applicationProperties: Object.fromEntries(Object.entries(rest).map(([name, value]) => [AMQP_PREFIX + name, value])),
    body: event.data ?? Buffer.alloc(0),
  };
}
