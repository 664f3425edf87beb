import type { IncomingMessage } from "node:http";

/** Why a request cannot be served, as its answer. */
export interface HeadProblem {
  readonly status: 400 | 501 | 505;
  /** One line for people. */
  readonly text: string;
}

type Head = Pick<IncomingMessage, "method" | "url" | "rawHeaders" | "headers" | "httpVersionMajor">;

/** @see RFC 3986 §3.2.2, §3.2.3 */
const HOST = /^(?:\[[-\w.~!$&'()*+,;=:%]+\]|[-\w.~!$&'()*+,;=%]*)(?::\d{0,5})?$/;

/**
 * Checks what RFC 9112 demands of a request and Node's parser leaves to its user, and brings a target in absolute form
 * (`GET http://host/path`) into the usual one.
 * @param head changed in place: `url`, and `Host` where the target names another
 */
export function checkHead(head: Head): HeadProblem | undefined {
  if (head.httpVersionMajor !== 1) return { status: 505, text: "HTTP/1.1 or HTTP/1.0 is required" };
  const { rawHeaders, headers } = head;
  let hostAt = -1;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length !== 4 || name.toLowerCase() !== "host") continue;
    if (hostAt >= 0) return { status: 400, text: "Host: there must be one" };
    hostAt = i + 1;
  }
  if (hostAt >= 0 && !HOST.test(rawHeaders[hostAt] as string)) {
    return { status: 400, text: "Host: must be a host, and a port if any" };
  }
  const encoding = headers["transfer-encoding"];
  if (encoding !== undefined && encoding !== "chunked" && encoding.toLowerCase() !== "chunked") {
    return { status: 501, text: "Transfer-Encoding: nothing but chunked is understood" };
  }
  return (head.url as string).charCodeAt(0) === SLASH ? undefined : checkOddTarget(head, hostAt);
}

const SLASH = 0x2f;
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** @see RFC 9112 §3.2 */
function checkOddTarget(head: Head, hostAt: number): HeadProblem | undefined {
  const url = head.url as string;
  if (url === "*" && head.method === "OPTIONS") return undefined;
  const [prefix, authority = ""] = ABSOLUTE.exec(url) ?? [];
  if (prefix === undefined) return { status: 400, text: "the target must be a path" };
  if (authority === "" || !HOST.test(authority)) {
    return { status: 400, text: "the target must name a host, and no user" };
  }
  const rest = url.slice(prefix.length);
  head.url = rest.startsWith("/") ? rest : `/${rest}`;
  head.headers.host = authority;
  if (hostAt >= 0) head.rawHeaders[hostAt] = authority;
  else head.rawHeaders.push("Host", authority);
  return undefined;
}
