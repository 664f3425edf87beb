/** "expand 32-byte k", as four words. */
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;

/** A quarter round's four places: columns first, then rows. */
const QUARTERS = [
  [0, 4, 8, 12],
  [5, 9, 13, 1],
  [10, 14, 2, 6],
  [15, 3, 7, 11],
  [0, 1, 2, 3],
  [5, 6, 7, 4],
  [10, 11, 8, 9],
  [15, 12, 13, 14],
] as const;

/**
 * `message` combined with the stream of Salsa20/20.
 * @param key 32 bytes
 * @param nonce 8 bytes
 * @see https://cr.yp.to/snuffle/spec.pdf
 */
export function xorSalsa20(message: Uint8Array, key: Uint8Array, nonce: Uint8Array): Buffer {
  const result = Buffer.from(message);
  const input = Buffer.alloc(16);
  Buffer.from(nonce).copy(input);
  for (let block = 0; block * 64 < result.length; block += 1) {
    input.writeUInt32LE(block >>> 0, 8);
    const state = stateOf(key, input);
    const mixed = mix(state);
    const end = Math.min(64, result.length - block * 64);
    for (let at = 0; at < end; at += 1) {
      const word = ((mixed[at >> 2] ?? 0) + (state[at >> 2] ?? 0)) | 0;
      const place = block * 64 + at;
      result[place] = (result[place] ?? 0) ^ ((word >>> ((at & 3) * 8)) & 0xff);
    }
  }
  return result;
}

/**
 * HSalsa20: a key of 32 bytes from one and 16 further bytes.
 * @see https://cr.yp.to/snuffle/xsalsa-20110204.pdf
 */
export function deriveSalsaKey(key: Uint8Array, input: Uint8Array): Buffer {
  const mixed = mix(stateOf(key, input));
  const result = Buffer.alloc(32);
  for (const [index, place] of [0, 5, 10, 15, 6, 7, 8, 9].entries()) result.writeInt32LE(mixed[place] ?? 0, index * 4);
  return result;
}

function stateOf(key: Uint8Array, input: Uint8Array): Int32Array {
  const words = (bytes: Uint8Array) => {
    const view = Buffer.from(bytes);
    return Array.from({ length: view.length / 4 }, (_, index) => view.readInt32LE(index * 4));
  };
  const [k, n] = [words(key), words(input)];
  const [s0, s1, s2, s3] = SIGMA;
  return Int32Array.from([s0, ...k.slice(0, 4), s1, ...n, s2, ...k.slice(4), s3]);
}

/** Twenty rounds. */
function mix(state: Int32Array): Int32Array {
  const x = Int32Array.from(state);
  const turn = (to: number, a: number, b: number, by: number) => {
    const sum = ((x[a] ?? 0) + (x[b] ?? 0)) | 0;
    x[to] = (x[to] ?? 0) ^ ((sum << by) | (sum >>> (32 - by)));
  };
  for (let round = 0; round < 10; round += 1) {
    for (const [a, b, c, d] of QUARTERS) {
      turn(b, a, d, 7);
      turn(c, b, a, 9);
      turn(d, c, b, 13);
      turn(a, d, c, 18);
    }
  }
  return x;
}
