import { codeOfMarkedAnswer, ERROR_HEADER } from "../../contract/error-codes.ts";
import { mentionsSession, withoutSession } from "../../contract/ui/session-cookie.ts";
import { plainAddress } from "../../http/addresses.ts";
import { connectionNames, isHopByHop, mayBeTrailer, mayHaveBody, wantsTrailers } from "../../http/forwarding.ts";
import { INTERNAL_KEY } from "../../http/platform-mark.ts";
import { DELIVERY, isIdentityHeader } from "../policies/identity-headers.ts";

export const SWITCHING_PROTOCOLS = 101;

export interface CallHeaders {
  readonly callId: string;
  /** Unix time in nanoseconds. */
  readonly startTime: string;
  readonly userAgent: string;
}

/** A request, as far as headers are made from it; one of `node:http` is one. */
export interface RequestHead {
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly headers: { readonly connection?: string | undefined; readonly host?: string | undefined };
  /** The other end of its connection. */
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** The dashboard's session is nobody's but the gateway's. */
function addOthers(headers: string[], name: string, cookies: string): void {
  const others = withoutSession(cookies);
  if (others !== "") headers.push(name, others);
}

/**
 * The headers a function gets, as a flat list of names and values in the order and spelling of arrival.
 * @param verified whether the request says who calls by the gateway's own word, as stored calls do
 */
export function buildUpstreamHeaders(req: RequestHead, call: CallHeaders, verified = false): string[] {
  const raw = req.rawHeaders;
  const named = connectionNames(req.headers.connection);
  const headers: string[] = [];
  let forwardedFor = "";
  let hasForwardedHost = false;
  let hasUserAgent = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    const lower = name.toLowerCase();
    if (isHopByHop(lower)) {
      // For servers that send trailers only to those who want them.
      if (lower === "te" && wantsTrailers(value)) headers.push("TE", "trailers");
      continue;
    }
    if (named?.has(lower)) continue;
    if (isIdentityHeader(lower) && (!verified || lower === DELIVERY)) continue;
    switch (lower) {
      case "host": // set anew by the HTTP client
      case "expect": // answered by Node before a handler runs
        continue;
      case "x-call-id":
      case "x-start-time":
        continue; // set below, once
      case "cookie":
        if (!mentionsSession(value)) break;
        addOthers(headers, name, value);
        continue;
      case "x-forwarded-for":
        forwardedFor = forwardedFor === "" ? value : `${forwardedFor}, ${value}`;
        continue;
      case "x-forwarded-host":
        hasForwardedHost = true;
        break;
      case "user-agent":
        hasUserAgent = true;
        break;
    }
    headers.push(name, value);
  }
  headers.push("X-Call-Id", call.callId, "X-Start-Time", call.startTime);
  headers.push("X-Forwarded-For", chainOf(forwardedFor, req.socket.remoteAddress));
  if (!hasForwardedHost && req.headers.host) headers.push("X-Forwarded-Host", req.headers.host);
  if (!hasUserAgent) headers.push("User-Agent", call.userAgent);
  return headers;
}

/** @param peer undefined at the end of a Unix socket, which is nobody that a chain could name */
function chainOf(forwardedFor: string, peer: string | undefined): string {
  if (peer === undefined) return forwardedFor === "" ? "unknown" : forwardedFor;
  const address = peer.includes(":") ? plainAddress(peer) : peer;
  return forwardedFor === "" ? address : `${forwardedFor}, ${address}`;
}

/**
 * The function's answer headers as the caller gets them: connection headers dropped but for `Trailer`, which is for the
 * exchange to send or not; ours where it set none.
 * @param ours becomes the result
 */
export function buildClientHeaders(
  upstream: Record<string, string | string[] | undefined>,
  ours: Record<string, string>,
  status: number,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = ours;
  const { connection } = upstream;
  const named = connectionNames(typeof connection === "object" ? connection.join(",") : connection);
  for (const name in upstream) {
    const value = upstream[name];
    if (value === undefined || (isHopByHop(name) && name !== "trailer") || named?.has(name)) continue;
    if (name === ERROR_HEADER) continue; // the platform's alone
    // A name like any other, but to assign to it would change what the object inherits.
    if (name === "__proto__") Object.defineProperty(headers, name, { value, enumerable: true });
    else headers[name] = value;
  }
  const code = status < 400 ? undefined : codeOfMarkedAnswer(upstream[INTERNAL_KEY], status);
  if (code !== undefined) headers[ERROR_HEADER] = code;
  if (!mayHaveBody(status)) delete headers["content-length"];
  return headers;
}

/**
 * The same for an answer that changes the protocol.
 * @param protocol what the connection goes on with
 */
export function buildSwitchHeaders(
  upstream: Record<string, string | string[] | undefined>,
  ours: Record<string, string>,
  protocol: string,
): Record<string, string | string[]> {
  const headers = buildClientHeaders(upstream, ours, SWITCHING_PROTOCOLS);
  delete headers.trailer;
  return Object.assign(headers, { connection: "Upgrade", upgrade: protocol });
}

/** What an interim answer says to the caller; undefined for nothing. */
export function buildInterimHeaders(
  upstream: Record<string, string | string[] | undefined>,
): Record<string, string | string[]> | undefined {
  const { connection } = upstream;
  const named = connectionNames(typeof connection === "object" ? connection.join(",") : connection);
  const kept = Object.entries(upstream).filter(
    (entry): entry is [string, string | string[]] =>
      entry[1] !== undefined && mayBeTrailer(entry[0]) && entry[0] !== ERROR_HEADER && !named?.has(entry[0]),
  );
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}

/** Names and values of what follows the body; undefined for nothing. */
export function buildClientTrailers(
  upstream: Record<string, string | string[] | undefined>,
): [name: string, value: string][] | undefined {
  let trailers: [string, string][] | undefined;
  for (const name in upstream) {
    if (!mayBeTrailer(name) || name === ERROR_HEADER) continue;
    trailers ??= [];
    for (const value of [upstream[name] ?? []].flat()) trailers.push([name, value]);
  }
  return trailers;
}
