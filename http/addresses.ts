import { BlockList, isIPv4, isIPv6 } from "node:net";

/** IPv4 addresses as IPv6 writes them: mapped, and translated by a NAT64 gateway. */
const EMBEDDING_V6 = ["::ffff:0:0/96", "64:ff9b::/96"];
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
