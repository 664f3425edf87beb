import { randomUUID } from "node:crypto";

// CloudEvents 1.0 over HTTP: https://github.com/cloudevents/spec

const PREFIX = "ce-";
const STRUCTURED = "application/cloudevents+json";
const NAME = /^[a-z0-9]{1,64}$/;
const JSON_TYPE = /\/(?:[^;]*\+)?json\s*(?:;|$)/i;

/** Whether a request carries one event: as headers, or as JSON in its body. */
export function carriesEvent(headers) {
  return headers["ce-specversion"] !== undefined || isStructured(headers["content-type"]);
}

const isStructured = (type) => type?.toLowerCase().startsWith(STRUCTURED) === true;

/**
 * The event of a request, as an object of its attributes and `data`; undefined when it has none.
 * @param body as `readBody` gave it
 */
export function readEvent(headers, body) {
  if (isStructured(headers["content-type"])) return fromJson(Buffer.isBuffer(body) ? parse(body) : body);
  const event = {};
  for (const name in headers) {
    if (name.startsWith(PREFIX)) event[name.slice(PREFIX.length)] = decode(headers[name]);
  }
  if (headers["content-type"] !== undefined) event.datacontenttype = headers["content-type"];
  // Nothing at all is no data, though JSON would make an object of it.
  if (body !== undefined && headers["content-length"] !== "0") event.data = body;
  return event;
}

function fromJson(body) {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  const { data_base64: base64, ...event } = body;
  return typeof base64 === "string" ? { ...event, data: Buffer.from(base64, "base64") } : event;
}

function parse(bytes) {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** What cannot be decoded stays as it came: brokers let nothing of the kind through. */
function decode(value) {
  const text = String(value);
  const bare = /^".*"$/s.test(text) ? text.slice(1, -1).replace(/\\(.)/gs, "$1") : text;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}

/** Whether what a handler returned is an event: a reply to the one that it got. */
export function isEvent(value) {
  return typeof value === "object" && value !== null && value.specversion === "1.0" && typeof value.type === "string";
}

/**
 * An event as an answer: its attributes as headers, its data as the body. It gets an id when it has none.
 * @throws {TypeError} naming the attribute that cannot be sent
 */
export function encodeEvent({ data, data_base64: base64, datacontenttype, ...attributes }) {
  const headers = {};
  const { id = randomUUID(), source, ...others } = attributes;
  if (typeof source !== "string" || source === "") throw new TypeError("the event that is returned has no source");
  for (const [name, value] of Object.entries({ ...others, id, source })) {
    if (value === undefined || value === null) continue;
    if (!NAME.test(name)) throw new TypeError(`"${name}" is no name of an event's attribute: a-z and 0-9`);
    if (!["string", "number", "boolean"].includes(typeof value)) throw new TypeError(`${name}: is no text`);
    headers[PREFIX + name] = encode(String(value));
  }
  const { payload, type } = encodeData(base64 === undefined ? data : Buffer.from(base64, "base64"), datacontenttype);
  if (type !== undefined) headers["Content-Type"] = type;
  return { headers, payload };
}

function encodeData(data, type) {
  if (data === undefined) return { payload: Buffer.alloc(0), type };
  if (ArrayBuffer.isView(data)) return { payload: bytesOf(data), type: type ?? "application/octet-stream" };
  if (typeof data === "string" && !(type !== undefined && JSON_TYPE.test(type))) {
    return { payload: Buffer.from(data), type: type ?? "text/plain; charset=utf-8" };
  }
  const json = JSON.stringify(data);
  if (json === undefined) throw new TypeError(`data: a ${typeof data} cannot be sent`);
  return { payload: Buffer.from(json), type: type ?? "application/json" };
}

const bytesOf = (view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);

/** Everything but what a header may have as it is, as UTF-8 in percent. */
function encode(text) {
  return text.replace(/[^\x21\x23\x24\x26-\x7e]+/gu, (part) =>
    Array.from(Buffer.from(part), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}
