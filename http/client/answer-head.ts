/** An answer that is not HTTP, or not such that everybody would read it alike. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
  /** `BAD_ANSWER`, or `ANSWER_HEAD_TOO_LARGE`. */
  readonly code: string;

  constructor(message: string, code = "BAD_ANSWER") {
    super(message);
    this.code = code;
  }
}

/** By lower-case name; several fields of a name in the order of their coming. */
export type AnswerFields = Record<string, string | string[] | undefined>;

/** How the body of an answer is told from what comes after it. */
export type Framing =
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunks" }
  /** It goes on until the connection ends. */
  | { readonly kind: "close" };

export interface AnswerHead {
  readonly status: number;
  /** Perhaps with control characters; empty when it is more than ASCII, as nobody knows what that means. */
  readonly reason: string;
  readonly fields: AnswerFields;
  readonly framing: Framing;
  /** Whether the server says that the connection may serve further requests. */
  readonly persistent: boolean;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Anything that no value may hold: control characters, and with them line ends that are none. */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const BEYOND_ASCII = /[\x80-\xff]/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([0-9]{3})(?: ([^\r\n]*))?$/;
/** No number that counts bytes is larger than can be counted exactly. */
const LENGTH = /^[0-9]{1,15}$/;
const CHUNKS: Framing = { kind: "chunks" };
const UNTIL_CLOSE: Framing = { kind: "close" };

/** Names as they come, and in lower case: most answers have the same ones. */
const knownNames = new Map<string, string>();
const MAX_KNOWN_NAMES = 500;

/** @throws {AnswerError} for what is no name */
function lowerName(name: string): string {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  if (!TOKEN.test(name)) throw new AnswerError("a header has a name that is none");
  const lower = name.toLowerCase();
  if (knownNames.size < MAX_KNOWN_NAMES && name.length <= 40) knownNames.set(name, lower);
  return lower;
}

/**
 * Reads fields as they stand behind a status line, or behind a body.
 * @param text complete lines, each with its line end
 * @param from where the first one begins
 * @throws {AnswerError}
 * @see RFC 9112 §5
 */
export function readFields(text: string, from: number): AnswerFields {
  const fields: AnswerFields = {};
  for (let at = from; at < text.length; ) {
    const end = text.indexOf("\r\n", at);
    const colon = text.indexOf(":", at);
    // A line that begins with a space would be the rest of the one before it for some, and for others none.
    if (colon < 0 || colon > end) throw new AnswerError("a header has no colon");
    const name = lowerName(text.slice(at, colon));
    const value = valueBetween(text, colon + 1, end);
    if (NO_VALUE.test(value))
      throw new AnswerError(`the header ${name} has a value with characters that none may have`);
    add(fields, name, value);
    at = end + 2;
  }
  return fields;
}

/** Without the spaces and tabs around it. */
function valueBetween(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function add(fields: AnswerFields, name: string, value: string): void {
  const present = fields[name];
  if (present === undefined) fields[name] = value;
  else if (!Object.hasOwn(fields, name)) {
    // Named like something that all objects have; `__proto__` would even be taken for an order.
    Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true });
  } else if (typeof present === "string") fields[name] = [present, value];
  else present.push(value);
}

/**
 * @param text the status line and all headers, each with its line end
 * @throws {AnswerError}
 * @see RFC 9112 §4 and §6
 */
export function readAnswerHead(text: string): AnswerHead {
  const lineEnd = text.indexOf("\r\n");
  const line = STATUS_LINE.exec(text.slice(0, lineEnd));
  if (!line) throw new AnswerError("the answer begins with no status line");
  const [, minor, status, reason = ""] = line;
  const fields = readFields(text, lineEnd + 2);
  const framing = framingOf(fields);
  const persistent = isPersistent(fields.connection, minor === "1");
  return { status: Number(status), reason: BEYOND_ASCII.test(reason) ? "" : reason, fields, framing, persistent };
}

/** Both ways at once, or one of them twice, is what makes two readers see two different answers. */
function framingOf(fields: AnswerFields): Framing {
  const { "content-length": length, "transfer-encoding": coding } = fields;
  if (coding !== undefined) {
    if (length !== undefined) throw new AnswerError("the answer has a length and a transfer coding");
    if (typeof coding !== "string") throw new AnswerError("the answer has several transfer codings");
    if (coding.toLowerCase() === "chunked") return CHUNKS;
    throw new AnswerError("the answer has a transfer coding that nobody has asked for");
  }
  if (length === undefined) return UNTIL_CLOSE;
  if (typeof length !== "string" || !LENGTH.test(length)) throw new AnswerError("the answer has a length that is none");
  return { kind: "length", bytes: Number(length) };
}

function isPersistent(connection: string | string[] | undefined, byDefault: boolean): boolean {
  if (connection === undefined) return byDefault;
  if (connection === "keep-alive") return true;
  const options = String(connection)
    .toLowerCase()
    .split(",")
    .map((option) => option.trim());
  if (options.includes("close")) return false;
  return byDefault || options.includes("keep-alive");
}

const HEAD_BEGINS = /^HTTP\/1\.[01] [0-9]{3}(?:[ \r].*)?$/;
const BEGINNING = "HTTP/1.1 200";

/**
 * Looks at a head that is not complete.
 * @param text what has come of it
 * @throws {AnswerError} when it cannot become one: who waits for the rest would wait in vain
 */
export function checkBeginning(text: string): void {
  const line = text.slice(0, text.indexOf("\n") + 1 || text.length);
  const fits = line.length > BEGINNING.length ? HEAD_BEGINS.test(line.replace(/\r?\n?$/, "")) : fitsBeginning(line);
  if (!fits) throw new AnswerError("the answer begins with no status line");
  const lines = text.lastIndexOf("\r\n") + 2;
  if (lines > line.length) readFields(text.slice(0, lines), line.length);
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    if (text[at - 1] !== "\r") throw new AnswerError("a header has a line end that is none");
  }
}

function fitsBeginning(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const wanted = BEGINNING[i] as string;
    const fits = i === 7 ? /[01]/ : i > 8 ? /[0-9]/ : undefined;
    if (!(fits ? fits.test(text[i] as string) : text[i] === wanted)) return false;
  }
  return true;
}
