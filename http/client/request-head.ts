/** A request whose whole body is there. */
export interface WholeRequest {
  readonly method: string;
  /** With its query, starting with `/`. */
  readonly path: string;
  /** Names and values in turn, without `Host` and whatever speaks of the connection. */
  readonly headers: readonly string[];
  readonly body: Buffer | null;
}

/** A request that cannot be written as HTTP. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly code = "BAD_REQUEST_HEAD";
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const NO_PATH = /[^\x21-\xff]/;
/** What is ours to say. */
const OURS: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "transfer-encoding",
  "keep-alive",
  "upgrade",
  "expect",
]);
const LONGEST_OF_OURS = "transfer-encoding".length;
/** Methods whose requests have a body by their meaning, if only an empty one. */
const BODY_METHODS: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/**
 * The head of `request` with the blank line behind it, in Latin-1. A length that it gives is left out for the true one.
 * @throws {RequestError}
 * @see RFC 9112 §3 and §6
 */
export function buildRequestHead({ method, path, headers, body }: WholeRequest, host: string): string {
  if (!NAME.test(method)) throw new RequestError("the request has a method that is none");
  if (path.charCodeAt(0) !== 0x2f || NO_PATH.test(path)) throw new RequestError("the request has a path that is none");
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (!NAME.test(name)) throw new RequestError("a header has a name that is none");
    if (NO_VALUE.test(value))
      throw new RequestError(`the header ${name} has a value with characters that none may have`);
    if (name.length <= LONGEST_OF_OURS) {
      const lower = name.toLowerCase();
      if (lower === "content-length") continue;
      if (OURS.has(lower)) throw new RequestError(`the header ${name} is the connection's own`);
    }
    head += `${name}: ${value}\r\n`;
  }
  if (body !== null && body.length > 0) return `${head}content-length: ${body.length}\r\n\r\n`;
  return BODY_METHODS.has(method) ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`;
}
