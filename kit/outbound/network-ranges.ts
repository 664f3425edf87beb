import { isIPv4, isIPv6 } from "node:net";
import { blockListOf, plainAddress } from "../../http/addresses.ts";

/**
 * IPv4 that is not the public internet.
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 */
const PRIVATE_V4 = [
  "0.0.0.0/8", // this host; connecting to 0.0.0.0 reaches loopback
  "10.0.0.0/8",
  "100.64.0.0/10", // carrier-grade NAT, some clouds' metadata and many overlay networks
  "127.0.0.0/8",
  "169.254.0.0/16", // link-local, the clouds' metadata services
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, broadcast
];

/** Of IPv6 only this is the public internet… */
const GLOBAL_V6 = "2000::/3";
/** …but for these parts: protocol assignments with Teredo, documentation, 6to4. */
const PRIVATE_V6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

const privateV4 = blockListOf(PRIVATE_V4);
const globalV6 = blockListOf([GLOBAL_V6]);
const privateV6 = blockListOf(PRIVATE_V6);

/** Whether anybody on the internet could have it. What is no address at all is not public. */
export function isPublicAddress(address: string): boolean {
  const plain = plainAddress(address);
  if (isIPv4(plain)) return !privateV4.check(plain, "ipv4");
  return isIPv6(plain) && globalV6.check(plain, "ipv6") && !privateV6.check(plain, "ipv6");
}
