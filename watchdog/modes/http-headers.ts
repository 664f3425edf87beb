import { connectionNames, isHopByHop } from "../../http/forwarding.ts";

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
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    const lower = name.toLowerCase();
    if (lower === "transfer-encoding") {
      hasBody = true;
      headers.push(name, "chunked"); // the body is framed anew
      continue;
    }
    // Our server has already answered `Expect: 100-continue`.
    if (isHopByHop(lower) || lower === "expect" || named?.has(lower)) continue;
    if (lower === "content-length") hasBody = value !== "0";
    headers.push(name, value);
  }
  if (!hasBody && method !== "GET" && method !== "HEAD" && !hasHeader(headers, "content-length")) {
    headers.push("Content-Length", "0");
  }
  return { headers, hasBody };
}

export interface ForwardedResponse {
  readonly headers: string[];
  readonly hasLength: boolean;
}

/** The headers for the caller. Framing is ours, so the function's `Transfer-Encoding` goes too. */
export function buildResponseHeaders(rawHeaders: readonly string[]): ForwardedResponse {
  const named = connectionNames(connectionOf(rawHeaders));
  const headers: string[] = [];
  let hasLength = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const lower = name.toLowerCase();
    if (isHopByHop(lower) || named?.has(lower)) continue;
    if (lower === "content-length") hasLength = true;
    headers.push(name, rawHeaders[i + 1] as string);
  }
  return { headers, hasLength };
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
