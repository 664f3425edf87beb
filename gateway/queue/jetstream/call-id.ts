import { hash, randomFillSync } from "node:crypto";

/**
 * The id of a call is a UUID (version 4 in form) that holds the sequence number of its message, 48 bits, and a nonce of
 * 74 random bits that travels in the message. So a call needs no entry of its own to be found by its id, and nobody can
 * guess the id of a call whose nonce they do not know. A hash of the nonce masks the number, so that ids tell nothing
 * about each other.
 */
export interface CallPlace {
  readonly seq: number;
  /** 19 hexadecimal digits, the fourth of them 0 to 3. */
  readonly nonce: string;
}

const MAX_SEQ = 2 ** 48 - 1;
const FORM = /^([0-9a-f]{8})-([0-9a-f]{4})-4([0-9a-f]{3})-([89ab])([0-9a-f]{3})-([0-9a-f]{12})$/;

/** @throws {RangeError} for a sequence number that does not fit into 48 bits */
export function encodeCallId({ seq, nonce }: CallPlace): string {
  if (!Number.isSafeInteger(seq) || seq < 0 || seq > MAX_SEQ) throw new RangeError(`no sequence number: ${seq}`);
  const place = masked(seq, nonce);
  const variant = "89ab"[Number(nonce[3])];
  return `${place.slice(0, 8)}-${place.slice(8)}-4${nonce.slice(0, 3)}-${variant}${nonce.slice(4, 7)}-${nonce.slice(7)}`;
}

/** @returns undefined for what cannot be an id */
export function decodeCallId(id: string): CallPlace | undefined {
  const match = FORM.exec(id);
  if (!match) return undefined;
  const [, high, low, first, variant, second, rest] = match as unknown as string[];
  const nonce = `${first}${"89ab".indexOf(variant as string)}${second}${rest}`;
  return { seq: Number.parseInt(masked(Number.parseInt(`${high}${low}`, 16), nonce), 16), nonce };
}

/** Hides and reveals a number: exclusive or with a hash of the nonce. 12 hexadecimal digits. */
function masked(value: number, nonce: string): string {
  const mask = Number.parseInt(hash("sha256", nonce).slice(0, 12), 16);
  // Bitwise operators work on 32 bits, so the number goes in two halves.
  const high = (Math.floor(value / 2 ** 24) ^ Math.floor(mask / 2 ** 24)) >>> 0;
  const low = ((value % 2 ** 24) ^ (mask % 2 ** 24)) >>> 0;
  return high.toString(16).padStart(6, "0") + low.toString(16).padStart(6, "0");
}

/** Draws nonces from a pool, as asking the system for every one of them is slow. */
export class Nonces {
  readonly #pool = Buffer.alloc(10 * 1024);
  #at = this.#pool.length;

  next(): string {
    if (this.#at >= this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    const hex = this.#pool.toString("hex", this.#at, this.#at + 10);
    this.#at += 10;
    return `${hex.slice(0, 3)}${Number.parseInt(hex[3] as string, 16) & 3}${hex.slice(4, 19)}`;
  }
}
