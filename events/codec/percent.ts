import { FaasError } from "../../contract/errors.ts";

/** What stands for itself in a header. */
const PLAIN = /^[\x21\x23\x24\x26-\x7e]*$/;

/** A text as the HTTP and NATS bindings write it: what is not printable ASCII, spaces, `"` and `%` as UTF-8 in `%XX`. */
export function encodePercent(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = "";
  for (const char of text) {
    if (PLAIN.test(char)) encoded += char;
    else for (const byte of Buffer.from(char)) encoded += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/**
 * Undoes {@link encodePercent}, once, and a quoted string around it.
 * @param name of the header, for the error
 * @throws {FaasError} `invalid` for what is no UTF-8 and for a `%` without two digits
 */
export function decodePercent(header: string, name: string): string {
  const text = header.startsWith('"') ? unquote(header, name) : header;
  if (!text.includes("%")) return text;
  const bytes: Buffer[] = [];
  let from = 0;
  for (let at = text.indexOf("%"); at >= 0; at = text.indexOf("%", from)) {
    const digits = text.slice(at + 1, at + 3);
    if (!/^[0-9A-Fa-f]{2}$/.test(digits))
      throw new FaasError("invalid", `${name}: "%" must be followed by two hex digits`);
    bytes.push(Buffer.from(text.slice(from, at)), Buffer.from(digits, "hex"));
    from = at + 3;
  }
  return decodeUtf8(Buffer.concat([...bytes, Buffer.from(text.slice(from))]), name);
}

/** @throws {FaasError} `invalid` for what is no UTF-8 */
export function decodeUtf8(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FaasError("invalid", `${name}: is not UTF-8`, { cause });
  }
}

function unquote(text: string, name: string): string {
  if (text.length < 2 || !/^"(?:[^"\\]|\\.)*"$/s.test(text))
    throw new FaasError("invalid", `${name}: a quoted text has no end`);
  return text.slice(1, -1).replace(/\\(.)/gs, "$1");
}
