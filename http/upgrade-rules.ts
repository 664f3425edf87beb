import type { IncomingMessage } from "node:http";

/**
 * The rules by which a connection changes its protocol, WebSocket or any other, on its way through gateway, provider and watchdog.
 * @see RFC 9110 §7.8
 */

type Head = Pick<IncomingMessage, "headers" | "httpVersionMinor" | "url">;

/**
 * Protocols that are not passed on, in lower case: a client that speaks HTTP/2 says so with its first bytes, and
 * encryption is for whoever has the certificate.
 */
const NOT_FOR_FUNCTIONS: ReadonlySet<string> = new Set(["h2c", "h2", "http", "tls"]);

const PROTOCOL = /^[!#$%&'*+.^_`|~\w-]+(\/[!#$%&'*+.^_`|~\w-]+)?$/;

/**
 * The protocols that a request offers to go on with, as a value of `Upgrade`.
 * @returns undefined when it offers none, or cannot be held to it: then it is served like any other
 */
export function offeredProtocols({ headers, httpVersionMinor, url }: Head): string | undefined {
  const { upgrade, connection, host, "content-length": length, "transfer-encoding": encoding } = headers;
  if (upgrade === undefined || !hasToken(connection, "upgrade")) return undefined;
  // A target or host that is odd is for those who answer ordinary requests to refuse.
  if (httpVersionMinor < 1 || host === undefined || url?.startsWith("/") !== true) return undefined;
  // What follows such a head could be its body or the other protocol, and each reader might take another view.
  if (encoding !== undefined || (length !== undefined && length !== "0")) return undefined;
  const offered = upgrade.split(",").map((protocol) => protocol.trim());
  const kept = offered.filter((protocol) => PROTOCOL.test(protocol) && !NOT_FOR_FUNCTIONS.has(nameOf(protocol)));
  return kept.length > 0 ? kept.join(", ") : undefined;
}

/**
 * Whether an answer 101 goes on with what was offered.
 * @param chosen its `Upgrade`
 */
export function isOffered(chosen: string | string[] | undefined, offered: string): boolean {
  if (typeof chosen !== "string" || chosen.trim() === "") return false;
  const names = new Set(offered.split(",").map((protocol) => nameOf(protocol.trim())));
  return chosen.split(",").every((protocol) => names.has(nameOf(protocol.trim())));
}

/** Without its version. */
function nameOf(protocol: string): string {
  return (protocol.split("/", 1)[0] as string).toLowerCase();
}

function hasToken(list: string | undefined, token: string): boolean {
  return list?.split(",").some((part) => part.trim().toLowerCase() === token) ?? false;
}
