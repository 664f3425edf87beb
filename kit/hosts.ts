import { isIPv6 } from "node:net";
import { plainAddress } from "../http/addresses.ts";

/** Names that a server answers to, beside those of this machine itself. */
export interface Hosts {
  /** @param name of a host without its port, lower case */
  allows(name: string): boolean;
  /** Whether it was named so, port and all: pages from there are the server's own, whatever a proxy made of `Host`. */
  names(host: string): boolean;
}

const NAME = /^(\*\.)?[a-z0-9_]([-a-z0-9_.]{0,251}[a-z0-9_])?(:\d{1,5})?$/;
const IPV6 = /^\[[0-9a-f:.]{2,45}\](:\d{1,5})?$/;

/**
 * A list of hosts, separated by commas: `faas.example.com`, `*.example.com`, `10.0.0.7:8443`, `[fd00::7]`, or `*` for
 * any.
 */
export function parseHosts(text: string): readonly string[] {
  return text.split(",").map((part) => {
    const host = part.trim().toLowerCase();
    if (host !== "*" && !NAME.test(host) && !IPV6.test(host)) {
      throw new Error(`"${part.trim()}" is not a host such as faas.example.com or *.example.com`);
    }
    return host;
  });
}

/**
 * The names that a server at `bindAddress` answers to. On loopback only this machine's own names and `allowed`: any
 * other comes from a page whose domain was pointed at this machine. Elsewhere any, unless some are `allowed`.
 * @returns undefined for any
 */
export function hostsOf(bindAddress: string, allowed: readonly string[] = []): Hosts | undefined {
  if (allowed.includes("*") || (allowed.length === 0 && !isLoopback(bindAddress))) return undefined;
  const given = new Set(allowed);
  const own = isIPv6(bindAddress) ? `[${bindAddress}]` : bindAddress;
  const exact = new Set([own, ...allowed].map((host) => splitHost(host)?.name ?? host));
  const suffixes = allowed.flatMap((host) => (host.startsWith("*.") ? [host.slice(1)] : []));
  return {
    allows: (name) => isLoopback(name) || exact.has(name) || suffixes.some((suffix) => name.endsWith(suffix)),
    names: (host) => given.has(host),
  };
}

/** Whether `name` can only mean this machine. IPv6 addresses may be in brackets. */
export function isLoopback(name: string): boolean {
  const address = plainAddress(name.replace(/^\[(.*)\]$/, "$1"));
  return name === "localhost" || address === "::1" || /^127(\.\d{1,3}){3}$/.test(address);
}

export interface HostAndPort {
  /** Lower case, without the dot that may end it. */
  readonly name: string;
  readonly port: string | undefined;
}

/** The parts of `host[:port]`; undefined for anything else. */
export function splitHost(text: string): HostAndPort | undefined {
  // Longer than any name can be.
  if (text.length > 300) return undefined;
  const [, six, name, port] =
    /^(?:\[([0-9a-f:.]+)(?:%[\w.~-]{1,40})?\]|([^:[\]\s/@]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  if (name !== undefined) return { name: name.toLowerCase().replace(/\.$/, ""), port };
  // There are many spellings of an IPv6 address, and this is the URL parser's.
  const url = `http://[${six ?? ""}]/`;
  return URL.canParse(url) ? { name: new URL(url).hostname, port } : undefined;
}
