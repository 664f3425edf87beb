const HTML = "text/html; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";
export const TEXT = "text/plain; charset=utf-8";
export const BINARY = "application/octet-stream";
const NO_CONTENT = new Set([204, 304]);

/**
 * What `value` is on the wire: `{ payload, type }`, or `{ source, type, length, status, headers }` for what comes bit by bit,
 * each but the source optional. The type is the default, which a header of the function overrides.
 */
export function encode(value) {
  if (typeof value === "string") return { payload: value, type: HTML };
  if (value === undefined || value === null) return { payload: "", type: undefined };
  if (ArrayBuffer.isView(value)) return { payload: asBytes(value), type: BINARY };
  if (value instanceof ArrayBuffer) return { payload: Buffer.from(value), type: BINARY };
  const stream = typeof value === "object" ? streamOf(value) : undefined;
  if (stream !== undefined) return stream;
  const payload = JSON.stringify(value);
  if (payload === undefined) throw new TypeError(`a ${typeof value} cannot be sent`);
  return { payload, type: JSON_TYPE };
}

/** A reason for failure on the wire. An error is its message, never its stack. */
export function encodeFailure(reason) {
  if (typeof reason !== "object" || reason === null || reason instanceof Error || Buffer.isBuffer(reason)) {
    return { payload: String(reason ?? ""), type: TEXT };
  }
  return encode(reason);
}

/**
 * What a value streams, if anything. Its kind is told by what it says of itself: to name `Response` would load Node's whole
 * HTTP client.
 */
function streamOf(value) {
  switch (value[Symbol.toStringTag]) {
    case "Blob":
    case "File":
      return { source: value.stream(), type: value.type || BINARY, length: value.size };
    case "ReadableStream":
      return { source: value };
    case "Response":
      return ofResponse(value);
    case "FormData":
      return ofResponse(new Response(value));
    case "URLSearchParams":
      return { payload: String(value), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (typeof value[Symbol.asyncIterator] === "function") return { source: value };
  // A generator, whose values come one by one; an array is a value by itself.
  if (typeof value.next === "function" && typeof value[Symbol.iterator] === "function") return { source: value };
  return undefined;
}

function ofResponse(response) {
  const headers = {};
  for (const [name, value] of response.headers) {
    // What `fetch` has received it has also unpacked.
    if (response.url !== "" && (name === "content-encoding" || name === "content-length")) continue;
    if (name !== "set-cookie") headers[name] = value;
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  return { source: response.body ?? [], status: response.status, headers };
}

function asBytes(view) {
  return view instanceof Uint8Array ? view : Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * Writes a whole answer. Throws before anything is sent when the status or a header is not one, so that the caller can
 * still answer with an error.
 */
export function send(res, status, headers, { payload, type }) {
  const { head, hasType } = buildHead(status, headers, typeof payload === "string");
  if (NO_CONTENT.has(status)) {
    res.writeHead(status, head).end();
    return;
  }
  if (!hasType && type !== undefined) head["Content-Type"] = type;
  head["Content-Length"] = Buffer.byteLength(payload);
  res.writeHead(status, head).end(payload);
}

/** The function's headers as they are sent. @throws {RangeError} for what is no status */
export function buildHead(status, headers, isText) {
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new RangeError(`${status} is no HTTP status`);
  const head = {};
  let hasType = false;
  for (const name in headers) {
    const lower = name.toLowerCase();
    // The length is what is sent, whatever the function believes: a wrong one would corrupt the connection.
    if (lower === "content-length" || lower === "transfer-encoding") continue;
    if (lower === "content-type") hasType = true;
    head[name] = lower === "content-type" && isText ? withCharset(headers[name]) : headers[name];
  }
  return { head, hasType };
}

/** Whether an answer of this status to this request has a body. */
export function hasContent(status, method) {
  return method !== "HEAD" && !NO_CONTENT.has(status);
}

/** Text is sent as UTF-8, so its type says so, as Express did. */
function withCharset(type) {
  return typeof type !== "string" || /;\s*charset\s*=/i.test(type) ? type : `${type}; charset=utf-8`;
}
