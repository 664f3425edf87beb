import { hash, randomFillSync } from "node:crypto";

/** What the id of a call holds. */
export interface CallPlace {
  /** Of the message that it was accepted as. */
  readonly seq: number;
  /** 19 hexadecimal digits, the fourth of them 0 to 3; travels in the message. */
  readonly nonce: string;
  /** Whether it takes the key to tell the number; ids of an earlier release tell it to anybody. */
  readonly hidden: boolean;
}

const MAX_SEQ = 2 ** 48 - 1;
const FORM = /^([0-9a-f]{8})-([0-9a-f]{4})-4([0-9a-f]{3})-([89ab])([0-9a-f]{3})-([0-9a-f]{12})$/;

export function isCallId(text: string): boolean {
  return FORM.test(text);
}

/**
 * The id of a call is a UUID (version 4 in form) that holds the sequence number of its message, 48 bits, and a nonce of
 * 74 random bits that travels in the message. So a call needs no entry of its own to be found by its id, and nobody can
 * guess the id of a call whose nonce they do not know. A hash of key and nonce masks the number, so that ids tell nothing
 * about each other, nor how many calls there were.
 */
export class MaskedCallIds {
  readonly #secret: string;

  /** @param secret the same in all processes */
  constructor(secret: string) {
    this.#secret = secret;
  }

  /** @throws {RangeError} for a sequence number that does not fit into 48 bits */
  encode({ seq, nonce, hidden }: CallPlace): string {
    if (!Number.isSafeInteger(seq) || seq < 0 || seq > MAX_SEQ) throw new RangeError(`no sequence number: ${seq}`);
    const place = this.#masked(seq, nonce, hidden);
    const variant = "89ab"[Number(nonce[3])];
    return `${place.slice(0, 8)}-${place.slice(8)}-4${nonce.slice(0, 3)}-${variant}${nonce.slice(4, 7)}-${nonce.slice(7)}`;
  }

  /** @returns the places that an id can be of; none for what cannot be an id */
  decode(id: string): CallPlace[] {
    const match = FORM.exec(id);
    if (!match) return [];
    const [, high, low, first, variant, second, rest] = match as unknown as string[];
    const nonce = `${first}${"89ab".indexOf(variant as string)}${second}${rest}`;
    const place = Number.parseInt(`${high}${low}`, 16);
    return [true, false].map((hidden) => ({
      seq: Number.parseInt(this.#masked(place, nonce, hidden), 16),
      nonce,
      hidden,
    }));
  }

  /** Hides and reveals a number: exclusive or with a hash. 12 hexadecimal digits. */
  #masked(value: number, nonce: string, hidden: boolean): string {
    const mask = Number.parseInt(hash("sha256", hidden ? this.#secret + nonce : nonce).slice(0, 12), 16);
    // Bitwise operators work on 32 bits, so the number goes in two halves.
    const high = (Math.floor(value / 2 ** 24) ^ Math.floor(mask / 2 ** 24)) >>> 0;
    const low = ((value % 2 ** 24) ^ (mask % 2 ** 24)) >>> 0;
    return high.toString(16).padStart(6, "0") + low.toString(16).padStart(6, "0");
  }
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
