import type { IncomingMessage } from "node:http";

/** Headers that speak of one connection. @see RFC 9110 §7.6.1 */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

type HeadersOf = Pick<IncomingMessage, "rawHeaders" | "headers">;

/** `rawHeaders` in their order and spelling without hop-by-hop ones, those named by `Connection` and `others`. */
function endToEnd({ rawHeaders, headers }: HeadersOf, others: readonly string[] = []): string[] {
  const named = (headers.connection ?? "").toLowerCase().split(",");
  const dropped = new Set([...HOP_BY_HOP, ...others, ...named.map((name) => name.trim())]);
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (!dropped.has(name.toLowerCase())) kept.push(name, rawHeaders[i + 1] as string);
  }
  return kept;
}

/** Headers of the call to a function at `address`: flat pairs, as `http.request` takes them. */
export function requestHeaders(req: HeadersOf & Pick<IncomingMessage, "socket">, address: string): string[] {
  // The body is framed anew for the next hop, and node has already answered an Expect.
  const headers = ["Host", address, ...endToEnd(req, ["host", "expect"])];
  if (req.headers["transfer-encoding"] !== undefined) headers.push("Transfer-Encoding", "chunked");
  if (req.headers["x-forwarded-host"] === undefined && req.headers.host !== undefined) {
    headers.push("X-Forwarded-Host", req.headers.host);
  }
  if (req.headers["x-forwarded-for"] === undefined && req.socket.remoteAddress !== undefined) {
    headers.push("X-Forwarded-For", req.socket.remoteAddress);
  }
  return headers;
}

/** Headers of the answer to the client. Without a type of its own it gets the request's, as OpenFaaS has it. */
export function responseHeaders(answer: HeadersOf & Pick<IncomingMessage, "statusCode">, asked: HeadersOf): string[] {
  const headers = endToEnd(answer);
  const hasBody = answer.statusCode !== 204 && answer.statusCode !== 304;
  if (hasBody && answer.headers["content-type"] === undefined) {
    headers.push("Content-Type", asked.headers["content-type"] ?? "text/plain");
  }
  return headers;
}
