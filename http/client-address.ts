import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { addRange, inRanges, plainAddress } from "./addresses.ts";

/** Hops of `X-Forwarded-For` that are looked at, and characters: more is no chain of proxies. */
const MAX_HOPS = 32;
const MAX_CHAIN_CHARS = 2_048;

/** Peers that are connected by a Unix socket, which have no address. */
const UNIX = "unix";

/** The proxies whose word for whom they speak is believed. */
export class TrustedProxies {
  readonly #list = new BlockList();
  readonly #unix: boolean;

  /**
   * @param peers addresses, networks in CIDR notation, and `unix` for clients on a Unix socket
   * @throws when one is none of these
   */
  constructor(peers: readonly string[]) {
    this.#unix = peers.includes(UNIX);
    for (const peer of peers) {
      if (peer === UNIX || addRange(this.#list, peer)) continue;
      throw new Error(`"${peer}" is not an address, a network such as 10.0.0.0/8, or unix`);
    }
  }

  /** @param address of a connection's other end; undefined for a Unix socket */
  trusts(address: string | undefined): boolean {
    if (address === undefined) return this.#unix;
    const plain = plainAddress(address);
    return isIP(plain) !== 0 && inRanges(this.#list, plain);
  }

  /**
   * Whom a trusted peer speaks for: the last address of the chain that is no trusted proxy's. Where the chain says
   * nothing that can be understood, it is the proxy that said so.
   * @param chain `X-Forwarded-For`, repeated ones joined by a comma
   */
  clientBehind(peer: string | undefined, chain: string | undefined): string | undefined {
    let client = peer;
    let rest = chain?.slice(-MAX_CHAIN_CHARS);
    for (let hop = 0; rest !== undefined && hop < MAX_HOPS; hop++) {
      const comma = rest.lastIndexOf(",");
      const address = parseHop(rest.slice(comma + 1).trim());
      if (address === undefined) break;
      client = address;
      if (!this.trusts(address)) break;
      rest = comma < 0 ? undefined : rest.slice(0, comma);
    }
    return client;
  }
}

/**
 * A list of trusted proxies, separated by commas: `10.0.0.0/8, 2001:db8::7, unix`.
 * @throws when one is no address or network
 */
export function parseTrustedProxies(text: string): readonly string[] {
  const peers = text.split(",").map((part) => part.trim());
  new TrustedProxies(peers);
  return peers;
}

/** `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1` or `[2001:db8::1]:5678`, as proxies write them. */
const HOP = /^(?:\[([\da-f:.]{2,45}(?:%[\w.~-]{1,32})?)\]|([\d.]{7,15}))(?::\d{1,5})?$/i;
const MAX_HOP_CHARS = 90;

function parseHop(text: string): string | undefined {
  if (text.length > MAX_HOP_CHARS) return undefined;
  const [, six, four] = HOP.exec(text) ?? [];
  const plain = plainAddress(six ?? four ?? text);
  return isIP(plain) === 0 ? undefined : plain;
}

/** Connections of trusted proxies. */
const forwarders = new WeakMap<object, TrustedProxies>();

/** Notes whether a new connection is one of a trusted proxy. */
export function noteForwarder(socket: { readonly remoteAddress?: string | undefined }, trusted: TrustedProxies): void {
  if (trusted.trusts(socket.remoteAddress)) forwarders.set(socket, trusted);
}

/**
 * From now on the connection is that of `peer` to all who ask it: whoever holds the other end passes on a request for it.
 * @param trusted the proxies whose word is believed, should it be one of them
 */
export function standFor(socket: object, peer: string | undefined, trusted: TrustedProxies | undefined): void {
  Object.defineProperty(socket, "remoteAddress", { value: peer, configurable: true });
  if (trusted?.trusts(peer)) forwarders.set(socket, trusted);
  else forwarders.delete(socket);
}

interface Asking {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** The client's address: the other end of the connection, or the client that a trusted proxy there names. */
export function clientOf({ headers, socket }: Asking): string | undefined {
  const { remoteAddress } = socket;
  const peer = remoteAddress && plainAddress(remoteAddress);
  const chain = headers["x-forwarded-for"];
  return forwarders.get(socket)?.clientBehind(peer, typeof chain === "object" ? chain.join() : chain) ?? peer;
}

/** What only proxies know; from others it is made up. `X-Forwarded-For` stays, as a chain that everybody adds to. */
const OF_PROXIES = /^(?:forwarded|x-real-ip|x-forwarded-(?!for$).*)$/;

/**
 * Brings what a request says of the way it has come to what is known of that: takes away what was not said by a trusted
 * proxy, and adds the scheme.
 * @param known of the connection's server
 */
export function settleForwarding(
  req: Pick<IncomingMessage, "rawHeaders" | "headers" | "socket">,
  known: { readonly trusted: TrustedProxies | undefined; readonly scheme: "http" | "https" },
): void {
  const { rawHeaders, headers, socket } = req;
  if (!forwarders.has(socket)) {
    // Where nobody is named as trusted it is not told apart who is a proxy, and OpenFaaS's gateway believes everybody.
    const made = known.trusted ? OF_PROXIES : /^x-forwarded-proto$/;
    for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
      const name = (rawHeaders[i] as string).toLowerCase();
      if (!made.test(name)) continue;
      rawHeaders.splice(i, 2);
      delete headers[name];
    }
  }
  if (headers["x-forwarded-proto"] !== undefined) return;
  rawHeaders.push("X-Forwarded-Proto", known.scheme);
  headers["x-forwarded-proto"] = known.scheme;
}
