import { promisify } from "node:util";
import { carriesEvent } from "./cloud-event.mjs";
import { parseForm } from "./form.mjs";
import { Refusal } from "./refusal.mjs";

/** Whether a request carries a body, an empty one included. */
export function hasBody(headers) {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
}

/**
 * The body as `event.body`: an object for JSON and forms, a string for text, a Buffer for anything else and whenever
 * `raw` is set. A body without a type is text.
 * @param settings `{ raw, limits: { json, text, raw } }`, each limit as `{ name, bytes, eventBytes }`
 * @throws {Refusal} 400, 413 or 415, when the caller is to blame
 */
export async function readBody(req, settings) {
  const { type, charset } = parseContentType(req.headers["content-type"]);
  const kind = settings.raw ? "raw" : kindOf(type);
  const known = settings.limits[kind === "form" ? "text" : kind];
  const limit = carriesEvent(req.headers) ? { ...known, bytes: known.eventBytes } : known;
  const bytes = await inflate(await collect(req, limit), req.headers["content-encoding"], limit);
  if (kind === "raw") return bytes;
  const text = decodeText(bytes, charset);
  if (kind === "json") return parseJson(text, req.headers["ce-specversion"] !== undefined);
  return kind === "form" ? parseForm(text) : text;
}

/** The body as text, whatever its type says that it is. */
export async function readText(req, limit) {
  if (!hasBody(req.headers)) return "";
  const { charset } = parseContentType(req.headers["content-type"]);
  return decodeText(await inflate(await collect(req, limit), req.headers["content-encoding"], limit), charset);
}

function parseContentType(header = "text/plain") {
  const end = header.indexOf(";");
  if (end === -1) return { type: header.trim().toLowerCase(), charset: "utf-8" };
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(header)?.[1];
  return { type: header.slice(0, end).trim().toLowerCase(), charset: charset?.toLowerCase() ?? "utf-8" };
}

function kindOf(type) {
  if (type === "application/json" || type.endsWith("+json")) return "json";
  if (type === "application/x-www-form-urlencoded") return "form";
  return type === "" || type.startsWith("text/") ? "text" : "raw";
}

function tooLarge({ name, bytes }) {
  return new Refusal(413, `body is larger than ${bytes} bytes (${name})`);
}

/** All bytes of the body. What comes after a refusal is read and dropped by the server, so the caller sees the answer. */
function collect(req, limit) {
  if (Number(req.headers["content-length"]) > limit.bytes) return Promise.reject(tooLarge(limit));
  return new Promise((resolve, reject) => {
    const chunks = [];
    let length = 0;
    req.on("data", (chunk) => {
      length += chunk.length;
      if (length <= limit.bytes) {
        chunks.push(chunk);
      } else {
        chunks.length = 0;
        reject(tooLarge(limit));
      }
    });
    req.on("end", () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    req.on("error", reject);
    req.on("close", () => reject(new Error("the caller went away before its body was complete")));
  });
}

const INFLATERS = { gzip: "gunzip", "x-gzip": "gunzip", deflate: "inflate", br: "brotliDecompress" };

async function inflate(bytes, header, limit) {
  const encoding = header?.trim().toLowerCase();
  if (encoding === undefined || encoding === "" || encoding === "identity") return bytes;
  if (!Object.hasOwn(INFLATERS, encoding)) throw new Refusal(415, `Content-Encoding "${encoding}" is not supported`);
  const zlib = await import("node:zlib"); // compressed bodies are rare: nobody else pays for loading it
  try {
    return await promisify(zlib[INFLATERS[encoding]])(bytes, { maxOutputLength: Math.max(1, limit.bytes) });
  } catch (cause) {
    if (cause.code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limit);
    throw new Refusal(400, `body is not valid ${encoding}`, { cause });
  }
}

function decodeText(bytes, charset) {
  if (charset === "utf-8" || charset === "utf8") {
    const text = bytes.toString();
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text; // a byte order mark is no part of the text
  }
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch (cause) {
    throw new Refusal(415, `charset "${charset}" is not supported`, { cause });
  }
}

/** @param any whether a scalar will do: the data of events may be one */
function parseJson(text, any) {
  if (text === "") return {};
  let value;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Refusal(400, "body is not valid JSON", { cause });
  }
  if (!any && (typeof value !== "object" || value === null))
    throw new Refusal(400, "body must be a JSON object or array");
  return value;
}
