import { hash } from "node:crypto";

/**
 * Ids of calls: UUIDs (version 4 in form) that hold a call's place in the file, 48 bits, and 74 bits that only who
 * has the file's key can work out from it. So an id needs neither room nor an index in the file, and none can be
 * guessed. Some of the latter bits mask the place, so that ids look as random as any.
 */
export class CallIds {
  /** The key, and after it room for a place. */
  readonly #keyed: Buffer;

  /** @param key 32 random bytes */
  constructor(key: Uint8Array) {
    this.#keyed = Buffer.concat([key, Buffer.alloc(6)]);
  }

  encode(seq: number): string {
    this.#keyed.writeUIntBE(seq, this.#keyed.length - 6, 6);
    const secret = hash("sha256", this.#keyed);
    const variant = "89ab"[Number.parseInt(secret[15] as string, 16) & 3];
    const place = xor(seq, secret.slice(0, 12));
    return `${place.slice(0, 8)}-${place.slice(8)}-4${secret.slice(12, 15)}-${variant}${secret.slice(16, 19)}-${secret.slice(0, 12)}`;
  }

  /** @returns undefined for what is no id of this file; the call itself need not be there any more */
  decode(id: string): number | undefined {
    const match = FORM.exec(id);
    if (!match) return undefined;
    const [, high, low, mask] = match as unknown as [string, string, string, string];
    const seq = Number.parseInt(xor(Number.parseInt(high + low, 16), mask), 16);
    return this.encode(seq) === id ? seq : undefined;
  }
}

const FORM = /^([0-9a-f]{8})-([0-9a-f]{4})-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-([0-9a-f]{12})$/;

/** 12 hexadecimal digits. Bitwise operators work on 32 bits, so the number goes in two halves. */
function xor(value: number, mask: string): string {
  const high = Math.floor(value / 2 ** 24) ^ Number.parseInt(mask.slice(0, 6), 16);
  const low = (value % 2 ** 24) ^ Number.parseInt(mask.slice(6), 16);
  return high.toString(16).padStart(6, "0") + low.toString(16).padStart(6, "0");
}
