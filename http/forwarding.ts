/**
 * The rules by which gateway, provider and watchdog pass an HTTP message on from one connection to the next.
 * Imports nothing: the watchdog, which ships in every image, is bundled with it.
 * @see RFC 9110 §7.6.1, §8.6 and §15
 */

/** Headers that speak of one connection, or of how a message is framed on it. In lower case. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** @param lower name of a header in lower case */
export function isHopByHop(lower: string): boolean {
  return HOP_BY_HOP.has(lower);
}

/**
 * What a `Connection` header cannot declare to be the connection's own. Without its length a body would be taken for
 * the next request, and without its host a request for somebody else's.
 */
const NOT_TO_BE_NAMED: ReadonlySet<string> = new Set(["", "close", "content-length", "host", ...HOP_BY_HOP]);

/**
 * Header names, in lower case, that `Connection` declares as its own beside those that never travel on.
 * @param connection its value, repeated ones joined by a comma
 * @returns undefined in the usual case of none
 */
export function connectionNames(connection: string | undefined): ReadonlySet<string> | undefined {
  if (!connection || connection === "keep-alive" || connection === "close") return undefined;
  let names: Set<string> | undefined;
  for (const part of connection.toLowerCase().split(",")) {
    const name = part.trim();
    if (NOT_TO_BE_NAMED.has(name)) continue;
    names ??= new Set();
    names.add(name);
  }
  return names;
}

/**
 * All headers of a message that travel on, in their order and spelling.
 * @param rawHeaders names and values in turn
 * @param connection as for {@link connectionNames}
 * @param dropped further names to leave out, in lower case
 * @returns names and values in turn
 */
export function endToEndHeaders(
  rawHeaders: readonly string[],
  connection: string | undefined,
  dropped?: ReadonlySet<string>,
): string[] {
  const named = connectionNames(connection);
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || named?.has(lower) || dropped?.has(lower)) continue;
    kept.push(name, rawHeaders[i + 1] as string);
  }
  return kept;
}

/**
 * What a trailer cannot be: it comes too late to frame a message, to route it, or to say who may read it.
 * @see RFC 9110 §6.5.1
 */
const NO_TRAILER: ReadonlySet<string> = new Set([
  "content-length",
  "content-encoding",
  "content-type",
  "content-range",
  "host",
  "set-cookie",
]);

/** @param lower name of a field in lower case */
export function mayBeTrailer(lower: string): boolean {
  return !HOP_BY_HOP.has(lower) && !NO_TRAILER.has(lower);
}

const TRAILERS = /(^|,)\s*trailers\s*(,|$)/i;

/** @param te value of the header `TE`, of which nothing else travels on */
export function wantsTrailers(te: string): boolean {
  return TRAILERS.test(te);
}

/**
 * What of a message's trailers, or of an interim answer's headers, travels on.
 * @param raw names and values in turn
 */
export function trailerFields(raw: readonly string[]): [name: string, value: string][] {
  const fields: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    if (mayBeTrailer(name.toLowerCase())) fields.push([name, raw[i + 1] as string]);
  }
  return fields;
}

/** Bytes that all headers of a function's answer may have. */
export const MAX_ANSWER_HEAD_BYTES = 256 * 1024;

/** The same for hops after the function's own watchdog: each of them adds a few headers to what has passed the one before. */
export const MAX_FORWARDED_HEAD_BYTES = MAX_ANSWER_HEAD_BYTES + 16 * 1024;

/** Interim answers (1xx) to one request. A server that sends more is not going to answer. */
export const MAX_INTERIM_ANSWERS = 100;

/** Whether `status` can end an exchange: not an interim one, and one that HTTP can write. */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 999;
}

/** Whether an answer with this status may have a body, and a length and a type that speak of it. */
export function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 304 && status !== 101;
}

/**
 * Whether the content of an answer may be looked at to tell its type: it has some, says nothing of its type, and is no
 * archive of what it is.
 * @param headers by lower-case name
 */
export function isUntyped(status: number, method: string, headers: Readonly<Record<string, unknown>>): boolean {
  return (
    headers["content-type"] === undefined &&
    mayHaveBody(status) &&
    method !== "HEAD" &&
    headers["content-length"] !== "0" &&
    !headers["content-encoding"]
  );
}

const REASON = /^[\t\x20-\x7e\x80-\xff]{1,256}$/;

/** The reason phrase as it may be sent; undefined for one that could not be, which says nothing that the status does not. */
export function sendableReason(reason: string | undefined): string | undefined {
  return reason !== undefined && REASON.test(reason) ? reason : undefined;
}
