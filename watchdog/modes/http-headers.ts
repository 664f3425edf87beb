import type { OutgoingMessage } from "node:http";
import { connectionNames, isHopByHop, mayBeTrailer, wantsTrailers } from "../../http/forwarding.ts";
import { isPlatformMark } from "../../http/platform-mark.ts";

/** What a caller's request tells about itself beyond its headers. */
export interface ForwardedRequest {
  /** Name, value, name, value, … as `http.request` takes them. */
  readonly headers: string[];
  readonly hasBody: boolean;
}

/**
 * The headers for the function: everything but the connection's own, in order and spelling, the length kept.
 * @param rawHeaders as Node gives them: name, value, name, value, …
 * @param method no length on a `POST` means an empty body, and Node would send chunks
 */
export function buildRequestHeaders(rawHeaders: readonly string[], method: string): ForwardedRequest {
  const named = connectionNames(connectionOf(rawHeaders));
  const headers: string[] = [];
  let hasBody = false;
  let chunked = false;
  let trailer: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    const lower = name.toLowerCase();
    if (lower === "transfer-encoding") {
      // The body is framed anew: once, whatever list of encodings it came with.
      if (!chunked) headers.push(name, "chunked");
      hasBody = true;
      chunked = true;
      continue;
    }
    if (lower === "trailer") trailer = value;
    if (lower === "te" && wantsTrailers(value)) headers.push("TE", "trailers");
    // `Expect` is between each two of us; who forwards the body says it anew.
    if (isHopByHop(lower) || lower === "expect" || named?.has(lower)) continue;
    if (lower === "content-length") hasBody = value !== "0";
    headers.push(name, value);
  }
  if (trailer !== undefined && chunked) headers.push("Trailer", trailer);
  if (!hasBody && method !== "GET" && method !== "HEAD" && !hasHeader(headers, "content-length")) {
    headers.push("Content-Length", "0");
  }
  return { headers, hasBody };
}

export interface ForwardedResponse {
  readonly headers: string[];
  readonly hasLength: boolean;
}

/**
 * The headers for the caller. Framing is ours, so the function's `Transfer-Encoding` goes too, and so does the platform's
 * mark: a function does not speak for the platform.
 * @param mayHaveBody whether the status allows a body, and a length that speaks of it
 * @param canTrail whether the caller can be sent trailers
 */
export function buildResponseHeaders(
  rawHeaders: readonly string[],
  mayHaveBody: boolean,
  canTrail: boolean,
): ForwardedResponse {
  const named = connectionNames(connectionOf(rawHeaders));
  const headers: string[] = [];
  let hasLength = !mayHaveBody;
  let trailer: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    const lower = name.toLowerCase();
    if (lower === "trailer") trailer = value;
    if (isHopByHop(lower) || isPlatformMark(lower) || named?.has(lower)) continue;
    if (lower === "content-length") {
      if (!mayHaveBody) continue;
      hasLength = true;
    }
    headers.push(name, value);
  }
  // Trailers follow the chunks of a body that has no length.
  if (trailer !== undefined && canTrail && !hasLength) headers.push("Trailer", trailer);
  return { headers, hasLength };
}

/**
 * Sends a message's trailers on, but for those that cannot be.
 * @param rawTrailers names and values in turn
 */
export function passTrailers(rawTrailers: readonly string[], target: OutgoingMessage): void {
  try {
    target.addTrailers(buildTrailers(rawTrailers));
  } catch {
    // A character that no header may hold. The body, which is what matters, is whole.
  }
}

function buildTrailers(rawTrailers: readonly string[]): [name: string, value: string][] {
  const trailers: [string, string][] = [];
  for (let i = 0; i + 1 < rawTrailers.length; i += 2) {
    const name = rawTrailers[i] as string;
    const lower = name.toLowerCase();
    if (mayBeTrailer(lower) && !isPlatformMark(lower)) {
      trailers.push([name, rawTrailers[i + 1] as string]);
    }
  }
  return trailers;
}

/** The value of `Connection`, repeated ones joined. */
function connectionOf(rawHeaders: readonly string[]): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if ((rawHeaders[i] as string).toLowerCase() !== "connection") continue;
    value = value === undefined ? (rawHeaders[i + 1] as string) : `${value},${rawHeaders[i + 1]}`;
  }
  return value;
}

function hasHeader(headers: readonly string[], lowerName: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if ((headers[i] as string).toLowerCase() === lowerName) return true;
  return false;
}

/** The request asks for a stream of events: it may last as long as the connection. */
export function wantsStream(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const lower = accept.toLowerCase();
  return lower.includes("text/event-stream") || lower.includes("application/x-ndjson");
}
