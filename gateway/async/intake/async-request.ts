import { FaasError } from "../../../contract/errors.ts";
import { parseMoment, parseSpan } from "../../../contract/instants.ts";
import { parseCallbackUrl } from "../../core/callback-url.ts";

/** What a caller asks of the queue, beside the call itself. */
export interface AsyncRequest {
  /** The caller's own `X-Call-Id`. */
  readonly callId?: string;
  readonly idempotencyKey?: string;
  readonly callbackUrl?: string;
  /** Milliseconds since the epoch, both. */
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Whether the body holds a call per line. */
  readonly batch: boolean;
  /** Raw, without what was for the queue. */
  readonly query: string;
}

/** Headers that are for the queue alone: a function that passes its own on must not delay or split other calls. */
export const QUEUE_HEADERS: ReadonlySet<string> = new Set(["x-call-id", "x-delay", "x-batch"]);

export const MAX_DELAY_MS = 30 * 24 * 3600e3;
const MAX_ID_CHARS = 256;
const BATCH_TYPE = "application/x-ndjson";

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Reads the headers and query parameters of `POST /async-function/…`.
 * @param headers by lower-case name; repeated ones joined by a comma, which none of these takes
 * @param query raw, without `?`
 * @param now milliseconds since the epoch
 * @throws {FaasError} `invalid`, naming the header or parameter and its rule
 */
export function readAsyncRequest(headers: Headers, query: string, now: number): AsyncRequest {
  const text = (name: string) => {
    const value = headers[name];
    return value === undefined ? undefined : String(value).trim();
  };
  const callId = checkId("X-Call-Id", text("x-call-id") || undefined);
  const idempotencyKey = checkId("X-Idempotency-Key", text("x-idempotency-key"));
  const callbackUrl = parseCallbackUrl(headers["x-callback-url"]);
  const { value: delayParameter, rest } = takeParameter(query, "delay");
  const notBefore = readDelay(text("x-delay"), delayParameter, now);
  const notAfter = readNotAfter(text("x-not-after"), now);
  if (notBefore !== undefined && notAfter !== undefined && notAfter <= notBefore) {
    fail("X-Not-After", "must be later than the end of the delay");
  }
  return {
    ...(callId !== undefined && { callId }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...(callbackUrl !== undefined && { callbackUrl }),
    ...(notBefore !== undefined && { notBefore }),
    ...(notAfter !== undefined && { notAfter }),
    batch: readBatch(text("x-batch"), text("content-type")),
    query: rest,
  };
}

function checkId(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (value === "" || value.length > MAX_ID_CHARS) fail(name, `must have 1 to ${MAX_ID_CHARS} characters`);
  return value;
}

/** The header and the parameter may both be there if they say the same. */
function readDelay(header: string | undefined, parameter: string | undefined, now: number): number | undefined {
  const parse = (name: string, text: string | undefined) => {
    if (text === undefined) return undefined;
    const ms = parseSpan(text);
    if (ms === undefined || ms > MAX_DELAY_MS) fail(name, "must be a duration such as 30, 1m30s or 24h, at most 720h");
    return ms;
  };
  const [fromHeader, fromParameter] = [parse("X-Delay", header), parse("delay", parameter)];
  if (fromHeader !== undefined && fromParameter !== undefined && fromHeader !== fromParameter) {
    fail("X-Delay", "must not differ from the query parameter delay");
  }
  const ms = fromHeader ?? fromParameter;
  return ms === undefined || ms === 0 ? undefined : now + ms;
}

function readNotAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const moment = parseMoment(text);
  const span = moment === undefined ? parseSpan(text) : undefined;
  const at = moment ?? (span === undefined ? undefined : now + span);
  // A moment that has passed is no mistake: the call has taken too long to get here, and expires.
  if (at === undefined || at - now > 2 * MAX_DELAY_MS) {
    fail(
      "X-Not-After",
      "must be a time such as 2030-01-31T12:00:00Z or in Unix seconds, or a duration from now, at most 1440h ahead",
    );
  }
  return at;
}

function readBatch(text: string | undefined, contentType: string | undefined): boolean {
  if (text === undefined || text === "false") return false;
  if (text !== "true") fail("X-Batch", "must be true or false");
  const parametersAt = contentType?.indexOf(";") ?? -1;
  const type = parametersAt < 0 ? contentType : contentType?.slice(0, parametersAt);
  if (type?.trim().toLowerCase() !== BATCH_TYPE) {
    fail("X-Batch", `needs the Content-Type ${BATCH_TYPE}`);
  }
  return true;
}

/** One parameter of a raw query, decoded, and the query without it; all others stay as they were sent. */
export function takeParameter(
  query: string,
  name: string,
): { readonly value: string | undefined; readonly rest: string } {
  let last: string | undefined;
  const kept: string[] = [];
  let keptUpTo = 0;
  for (let at = query.indexOf(name); at >= 0; ) {
    const nameEnd = at + name.length;
    if (!isParameter(query, at, nameEnd)) {
      at = query.indexOf(name, nameEnd);
      continue;
    }
    const next = query.indexOf("&", nameEnd);
    const end = next < 0 ? query.length : next;
    last = query.slice(at, end);
    kept.push(query.slice(keptUpTo, at));
    keptUpTo = end + 1;
    at = query.indexOf(name, end);
  }
  if (last === undefined) return { value: undefined, rest: query };
  const before = kept.join("");
  // Taken from the end, it leaves the separator before it.
  const rest = keptUpTo > query.length ? before.slice(0, -1) : before + query.slice(keptUpTo);
  return { value: decodeParameter(last, name), rest };
}

function isParameter(query: string, at: number, nameEnd: number): boolean {
  if (at > 0 && query[at - 1] !== "&") return false;
  return nameEnd === query.length || query[nameEnd] === "=" || query[nameEnd] === "&";
}

/** What is longer is nothing that could be meant, so it need not be decoded. */
const MAX_PARAMETER_CHARS = 1000;

function decodeParameter(part: string, name: string): string {
  if (part.length > MAX_PARAMETER_CHARS) return part;
  return new URLSearchParams(part).get(name) ?? "";
}

function fail(name: string, rule: string): never {
  throw new FaasError("invalid", `${name}: ${rule}`);
}
