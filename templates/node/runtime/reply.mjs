const HTML = "text/html; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";
const TEXT = "text/plain; charset=utf-8";
const BINARY = "application/octet-stream";
const NO_CONTENT = new Set([204, 304]);

/** What `value` is on the wire: `{ payload, type }`. The type is the default, which a header of the function overrides. */
export function encode(value) {
  if (typeof value === "string") return { payload: value, type: HTML };
  if (value === undefined || value === null) return { payload: "", type: undefined };
  if (ArrayBuffer.isView(value)) return { payload: asBytes(value), type: BINARY };
  if (value instanceof ArrayBuffer) return { payload: Buffer.from(value), type: BINARY };
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

function asBytes(view) {
  return view instanceof Uint8Array ? view : Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * Writes a whole answer. Throws before anything is sent when the status or a header is not one, so that the caller can
 * still answer with an error.
 */
export function send(res, status, headers, { payload, type }) {
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new RangeError(`${status} is no HTTP status`);
  const head = {};
  let hasType = false;
  for (const name in headers) {
    const lower = name.toLowerCase();
    // The length is what is sent, whatever the function believes: a wrong one would corrupt the connection.
    if (lower === "content-length" || lower === "transfer-encoding") continue;
    if (lower === "content-type") hasType = true;
    head[name] = lower === "content-type" ? withCharset(headers[name], payload) : headers[name];
  }
  if (NO_CONTENT.has(status)) {
    res.writeHead(status, head).end();
    return;
  }
  if (!hasType && type !== undefined) head["Content-Type"] = type;
  head["Content-Length"] = Buffer.byteLength(payload);
  res.writeHead(status, head).end(payload);
}

/** Text is sent as UTF-8, so its type says so, as Express did. */
function withCharset(type, payload) {
  return typeof payload !== "string" || typeof type !== "string" || /;\s*charset\s*=/i.test(type)
    ? type
    : `${type}; charset=utf-8`;
}
