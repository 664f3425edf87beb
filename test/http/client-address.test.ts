import { expect, test } from "@jest/globals";
import { clientOf, noteForwarder, parseTrustedProxies, TrustedProxies } from "../../http/client-address.ts";

const trusted = new TrustedProxies(parseTrustedProxies("10.0.0.0/8, 192.0.2.7, fd00::/8, unix"));

test.each<[what: string, address: string | undefined, believed: boolean]>([
  ["an address of a network", "10.255.0.1", true],
  ["the same as an IPv6 socket has it", "::ffff:10.255.0.1", true],
  ["the same in hexadecimal", "::ffff:aff:1", true],
  ["an address beside the network", "11.0.0.1", false],
  ["a single address", "192.0.2.7", true],
  ["its neighbour", "192.0.2.8", false],
  ["an IPv6 address", "fd12::1", true],
  ["one with a zone", "fd12::1%eth0", true],
  ["another IPv6 address", "2001:db8::1", false],
  ["the end of a Unix socket", undefined, true],
  ["no address", "proxy", false],
  ["nothing", "", false],
])("trust goes by the list: %s", (_what, address, believed) => {
  expect(trusted.trusts(address)).toBe(believed);
});

test.each<[what: string, chain: string | undefined, client: string | undefined]>([
  ["no chain", undefined, "10.0.0.1"],
  ["an empty one", "", "10.0.0.1"],
  ["one client", "203.0.113.9", "203.0.113.9"],
  ["the last that is not trusted counts", "1.1.1.1, 203.0.113.9, 10.0.0.3, fd00::2", "203.0.113.9"],
  ["all are trusted", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
  ["a port", "203.0.113.9:4711", "203.0.113.9"],
  ["IPv6", "2001:db8::9", "2001:db8::9"],
  ["IPv6 in brackets with a port", "[2001:db8::9]:4711", "2001:db8::9"],
  ["IPv4 in IPv6", "::ffff:203.0.113.9", "203.0.113.9"],
  ["a zone", "fe80::1%eth0", "fe80::1"],
  ["a word", "unknown", "10.0.0.1"],
  ["a word behind a proxy", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"],
  ["nothing between commas", "203.0.113.9,, 10.0.0.2", "10.0.0.2"],
  ["an octal address", "0177.0.0.1", "10.0.0.1"],
  ["a number out of range", "1.2.3.256", "10.0.0.1"],
  ["brackets that do not close", "[2001:db8::9", "10.0.0.1"],
  ["a path", "/etc/passwd", "10.0.0.1"],
  ["more than 32 trusted hops", `203.0.113.9${", 10.0.0.2".repeat(40)}`, "10.0.0.2"],
  ["a megabyte", `203.0.113.9${", x".repeat(350_000)}`, "10.0.0.1"],
])("the client behind a trusted proxy: %s", (_what, chain, client) => {
  expect(trusted.clientBehind("10.0.0.1", chain)).toBe(client);
});

test("only a connection of a trusted proxy is asked for its chain", () => {
  const headers = { "x-forwarded-for": "203.0.113.9" };
  for (const [remoteAddress, client] of [
    ["10.0.0.1", "203.0.113.9"],
    ["192.0.2.8", "192.0.2.8"],
    ["::ffff:192.0.2.8", "192.0.2.8"],
    [undefined, "203.0.113.9"],
  ]) {
    const socket = { remoteAddress };
    expect(clientOf({ headers, socket })).toBe(remoteAddress?.replace("::ffff:", ""));
    noteForwarder(socket, trusted);
    expect(clientOf({ headers, socket })).toBe(client);
  }
});

test.each(["", "10.0.0.0/33", "proxy.example.com", "10.0.0.1,", "fe80::1%eth0", "10.0.0.0/8/8", "*"])(
  "%j is no list of trusted proxies",
  (text) => {
    expect(() => parseTrustedProxies(text)).toThrow("is not an address, a network such as 10.0.0.0/8, or unix");
  },
);
