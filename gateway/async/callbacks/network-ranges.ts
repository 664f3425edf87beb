import { BlockList, isIPv4, isIPv6 } from "node:net";

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
/** IPv4 addresses as IPv6 writes them: mapped, and translated by a NAT64 gateway. */
const EMBEDDING_V6 = ["::ffff:0:0/96", "64:ff9b::/96"];

const privateV4 = blockListOf(PRIVATE_V4);
const globalV6 = blockListOf([GLOBAL_V6]);
const privateV6 = blockListOf(PRIVATE_V6);
const embeddingV6 = blockListOf(EMBEDDING_V6);

/** Adds an address or a network in CIDR notation. @returns whether `text` was one */
export function addRange(list: BlockList, text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) && !address.includes("%") ? "ipv6" : undefined;
  if (family === undefined || rest.length > 0) return false;
  if (bits === undefined) {
    list.addAddress(address, family);
    return true;
  }
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (family === "ipv4" ? 32 : 128)) return false;
  list.addSubnet(address, Number(bits), family);
  return true;
}

/** @throws when one of `ranges` is neither an address nor a network */
export function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) if (!addRange(list, range)) throw new Error(`${range} is not an address or a network`);
  return list;
}

/** `address` as the network sees it: without a zone, and as IPv4 where it only dresses one up. */
export function plainAddress(address: string): string {
  const [bare = ""] = address.split("%", 1);
  if (!isIPv6(bare) || !embeddingV6.check(bare, "ipv6")) return bare;
  // The URL parser writes all IPv6 addresses in one way, which ends in two groups of hexadecimal digits here.
  const groups = new URL(`http://[${bare}]`).hostname.slice(1, -1).split(":");
  const [high = 0, low = 0] = groups.slice(-2).map((group) => Number.parseInt(group || "0", 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** Whether `list` has the address. @param address as of {@link plainAddress} */
export function inRanges(list: BlockList, address: string): boolean {
  return list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/** Whether anybody on the internet could have it. What is no address at all is not public. */
export function isPublicAddress(address: string): boolean {
  const plain = plainAddress(address);
  if (isIPv4(plain)) return !privateV4.check(plain, "ipv4");
  return isIPv6(plain) && globalV6.check(plain, "ipv6") && !privateV6.check(plain, "ipv6");
}
