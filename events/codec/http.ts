import { FaasError } from "../../contract/errors.ts";
import { attributeText, type CloudEvent, checkedEvent, type EventValue, isAttributeName } from "./cloud-event.ts";
import { decodeJsonBatch, decodeJsonEvent, encodeJsonBatch, encodeJsonEvent } from "./json.ts";
import { decodePercent, encodePercent } from "./percent.ts";

export type HttpHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;
/** How events are written into an HTTP message. */
export type HttpMode = "binary" | "structured" | "batch";

const PREFIX = "ce-";
const STRUCTURED = "application/cloudevents";
const BATCH = "application/cloudevents-batch";
const JSON_FORMAT = "+json";
const REQUIRED = ["specversion", "id", "source", "type"];

/** How a message carries events; undefined when it carries none. @param headers with names in lower case */
export function httpMode(headers: HttpHeaders): HttpMode | undefined {
  const contentType = one(headers, "content-type")?.toLowerCase() ?? "";
  if (contentType.startsWith(BATCH)) return "batch";
  if (contentType.startsWith(STRUCTURED)) return "structured";
  return REQUIRED.every((name) => headers[PREFIX + name] !== undefined) ? "binary" : undefined;
}

/**
 * The events of a request or an answer.
 * @param headers with names in lower case
 * @throws {FaasError} `invalid` when there are none or they break a rule; `unsupportedType` for another format than JSON
 */
export function decodeHttp(headers: HttpHeaders, body: Buffer): CloudEvent[] {
  const mode = httpMode(headers);
  if (mode === undefined) throw new FaasError("invalid", noEvent(headers));
  if (mode === "binary") return [decodeBinary(headers, body)];
  const [type = ""] = (one(headers, "content-type") ?? "").toLowerCase().split(";", 1);
  if (!type.trim().endsWith(JSON_FORMAT)) {
    throw new FaasError(
      "unsupportedType",
      `content-type: events come as JSON, not as ${JSON.stringify(type.trim()).slice(0, 80)}`,
    );
  }
  return mode === "batch" ? decodeJsonBatch(body) : [decodeJsonEvent(body)];
}

function noEvent(headers: HttpHeaders): string {
  const missing = REQUIRED.map((name) => PREFIX + name).filter((name) => headers[name] === undefined);
  return `the request has no event: neither the headers ${missing.join(", ")} nor a content-type of ${STRUCTURED}`;
}

function decodeBinary(headers: HttpHeaders, body: Buffer): CloudEvent {
  const attributes: Record<string, EventValue> = {};
  for (const header of Object.keys(headers)) {
    if (!header.startsWith(PREFIX)) continue;
    const name = header.slice(PREFIX.length);
    const value = one(headers, header);
    if (value === undefined) continue;
    if (name === "datacontenttype")
      throw new FaasError("invalid", `${header}: the type of the data is the content-type`);
    if (!isAttributeName(name))
      throw new FaasError("invalid", `${header.slice(0, 80)}: is no name of an attribute: a-z and 0-9`);
    attributes[name] = decodePercent(value, header);
  }
  const contentType = one(headers, "content-type");
  return checkedEvent({
    attributes: { ...attributes, ...(contentType !== undefined && { datacontenttype: contentType }) },
    ...(body.length > 0 && { data: body }),
  });
}

function one(headers: HttpHeaders, name: string): string | undefined {
  const value = headers[name];
  if (value === undefined || typeof value === "string") return value;
  throw new FaasError("invalid", `${name}: is there more than once`);
}

export interface HttpMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** An event with its attributes in headers and its data as the body. */
export function encodeBinary({ attributes, data }: CloudEvent): HttpMessage {
  const { datacontenttype, ...rest } = attributes;
  const headers = Object.fromEntries(
    Object.entries(rest).map(([name, value]) => [PREFIX + name, encodePercent(attributeText(value))]),
  );
  return {
    headers: { ...headers, ...(datacontenttype !== undefined && { "content-type": String(datacontenttype) }) },
    body: data ?? Buffer.alloc(0),
  };
}

/** An event as JSON in the body. */
export function encodeStructured(event: CloudEvent): HttpMessage {
  return { headers: { "content-type": `${STRUCTURED}${JSON_FORMAT}; charset=utf-8` }, body: encodeJsonEvent(event) };
}

/** Events as a JSON array in the body. */
export function encodeBatch(events: readonly CloudEvent[]): HttpMessage {
  return { headers: { "content-type": `${BATCH}${JSON_FORMAT}; charset=utf-8` }, body: encodeJsonBatch(events) };
}
