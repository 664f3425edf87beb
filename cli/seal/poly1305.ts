const PRIME = 2n ** 130n - 5n;

/**
 * The tag of a message.
 * @param key 32 bytes, for this message only
 * @returns 16 bytes
 * @see RFC 8439, section 2.5
 */
export function poly1305(message: Uint8Array, key: Uint8Array): Buffer {
  const factor = littleEndian(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    const block = message.subarray(at, at + 16);
    sum = ((sum + littleEndian(block) + (1n << BigInt(8 * block.length))) * factor) % PRIME;
  }
  const tag = (sum + littleEndian(key.subarray(16, 32))) & (2n ** 128n - 1n);
  return Buffer.from(tag.toString(16).padStart(32, "0"), "hex").reverse();
}

function littleEndian(bytes: Uint8Array): bigint {
  const hex = Buffer.from(bytes).reverse().toString("hex");
  return hex === "" ? 0n : BigInt(`0x${hex}`);
}
