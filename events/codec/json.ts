import { checkJsonBounds, MAX_JSON_DEPTH } from "../../contract/bounded-json.ts";
import { FaasError } from "../../contract/errors.ts";
import {
  type CloudEvent,
  checkedEvent,
  type EventValue,
  isAttributeName,
  isJsonType,
  notAName,
} from "./cloud-event.ts";
import { splitElements, splitMembers } from "./json-members.ts";
import { decodeUtf8 } from "./percent.ts";

const JSON_TYPE = "application/json";
/** Events of one batch. */
export const MAX_BATCH = 1_000;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** An event in the JSON format. @throws {FaasError} `invalid`, naming the attribute and its rule */
export function decodeJsonEvent(bytes: Uint8Array): CloudEvent {
  return eventOf(textOf(bytes));
}

/** A batch of events in the JSON format. @throws {FaasError} `invalid`, naming the event by its place */
export function decodeJsonBatch(bytes: Uint8Array): CloudEvent[] {
  const elements = splitElements(textOf(bytes), "batch of events");
  if (elements.length > MAX_BATCH) throw new FaasError("tooLarge", `batch of events: has more than ${MAX_BATCH}`);
  return elements.map((element, place) => {
    try {
      return eventOf(element);
    } catch (error) {
      if (!(error instanceof FaasError)) throw error;
      throw new FaasError(error.kind, `${place}. ${error.message}`, { cause: error });
    }
  });
}

function textOf(bytes: Uint8Array): string {
  checkJsonBounds(bytes, { maxBytes: bytes.length, maxDepth: MAX_JSON_DEPTH }, "event");
  return decodeUtf8(bytes, "event");
}

function eventOf(text: string): CloudEvent {
  const members = splitMembers(text, "event");
  const attributes: Record<string, EventValue> = {};
  for (const [name, raw] of members) {
    if (name === "data" || name === "data_base64" || raw === "null") continue;
    // Names such as `__proto__` would not get as far as the rules.
    if (!isAttributeName(name)) throw new FaasError("invalid", `event: ${notAName(name)}`);
    const value = parse(raw, name);
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
      throw new FaasError("invalid", `event: ${name}: must be a text, an integer or true or false`);
    }
    attributes[name] = value;
  }
  const raw = members.get("data");
  const base64 = members.get("data_base64") === "null" ? undefined : members.get("data_base64");
  if (raw !== undefined && base64 !== undefined) {
    throw new FaasError("invalid", "event: data and data_base64: only one of them may be there");
  }
  if (raw === undefined) {
    return checkedEvent({ attributes, ...(base64 !== undefined && { data: decodeBase64(base64) }) });
  }
  // Said, as another binding would not assume it.
  const { datacontenttype = JSON_TYPE } = attributes;
  return checkedEvent({ attributes: { ...attributes, datacontenttype }, data: dataOf(raw, String(datacontenttype)) });
}

/** JSON stays as it is written; a text of another type is its characters. */
function dataOf(raw: string, contentType: string): Buffer {
  const value = parse(raw, "data");
  return isJsonType(contentType) || typeof value !== "string" ? Buffer.from(raw) : Buffer.from(value);
}

function decodeBase64(raw: string): Buffer {
  const text = parse(raw, "data_base64");
  if (typeof text !== "string" || text.length % 4 !== 0 || !BASE64.test(text)) {
    throw new FaasError("invalid", "event: data_base64: must be a text in base64");
  }
  return Buffer.from(text, "base64");
}

function parse(raw: string, name: string): unknown {
  try {
    return JSON.parse(raw);
  } catch (cause) {
    throw new FaasError("invalid", `event: ${JSON.stringify(name).slice(0, 80)} is not JSON`, { cause });
  }
}

/** The event in the JSON format. Data that is neither JSON nor text, or says JSON and is none, goes as base64. */
export function encodeJsonEvent({ attributes, data }: CloudEvent): Buffer {
  const members = Object.entries(attributes).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (data !== undefined) members.push(encodeData(data, attributes.datacontenttype));
  return Buffer.from(`{${members.join(",")}}`);
}

function encodeData(data: Buffer, contentType: EventValue | undefined): string {
  const type = contentType === undefined ? undefined : String(contentType);
  const base64 = () => `"data_base64":${JSON.stringify(data.toString("base64"))}`;
  // Without a type, `data` would mean that it is JSON.
  if (type === undefined) return base64();
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return base64();
  }
  if (!isJsonType(type)) return `"data":${JSON.stringify(text)}`;
  // Space around it would be taken for that of the event.
  return text === text.trim() && isJson(text) ? `"data":${text}` : base64();
}

function isJson(text: string): boolean {
  try {
    checkJsonBounds(text, { maxBytes: text.length, maxDepth: MAX_JSON_DEPTH - 1 }, "data");
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Events as a batch in the JSON format. */
export function encodeJsonBatch(events: readonly CloudEvent[]): Buffer {
  return Buffer.from(`[${events.map((event) => encodeJsonEvent(event).toString()).join(",")}]`);
}
