import { hash } from "node:crypto";

/** What ids are made with; lies in the queue's file. */
export interface IdKey {
  /** 32 random bytes. */
  readonly secret: Uint8Array;
  /** Calls in places before this one got ids of the older form, which tell their place. */
  readonly hiddenFrom: number;
}

/** Keep apart what is made of one key. */
const PURPOSE = { seal: 1, mask: 2 } as const;
const PLACE_BYTES = 6;
const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-(4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$/;

/**
 * Ids of calls: UUIDs (version 4 in form) that hold a call's place in the file, 48 bits, and a seal of 74 bits that only
 * who has the file's key can work out from it. The place is masked by a hash of key and seal. So an id needs neither room
 * nor an index in the file, none can be guessed, and none tells how many calls there were.
 */
export class SealedCallIds {
  /** The key, after it the purpose and room for a place. */
  readonly #sealing: Buffer;
  readonly #masking: Buffer;
  /** The key, and after it room for a place: of the older form. */
  readonly #plain: Buffer;
  readonly #hiddenFrom: number;

  constructor({ secret, hiddenFrom }: IdKey) {
    this.#sealing = Buffer.concat([secret, Buffer.of(PURPOSE.seal), Buffer.alloc(PLACE_BYTES)]);
    this.#masking = Buffer.concat([secret, Buffer.of(PURPOSE.mask), Buffer.alloc(SEAL_CHARS)]);
    this.#plain = Buffer.concat([secret, Buffer.alloc(PLACE_BYTES)]);
    this.#hiddenFrom = hiddenFrom;
  }

  encode(seq: number): string {
    const hidden = seq >= this.#hiddenFrom;
    const seal = sealOf(hidden ? this.#sealing : this.#plain, seq);
    return join(xor(seq, hidden ? this.#maskOf(seal) : plainMaskOf(seal)), seal);
  }

  /** @returns undefined for what is no id of this file; the call itself need not be there any more */
  decode(id: string): number | undefined {
    const match = UUID.exec(id);
    if (!match) return undefined;
    const [, high, low, seal] = match as unknown as [string, string, string, string];
    const masked = Number.parseInt(high + low, 16);
    for (const mask of [this.#maskOf(seal), plainMaskOf(seal)]) {
      const seq = Number.parseInt(xor(masked, mask), 16);
      if (this.encode(seq) === id) return seq;
      if (this.#hiddenFrom === 0) return undefined;
    }
    return undefined;
  }

  #maskOf(seal: string): string {
    this.#masking.write(seal, this.#masking.length - SEAL_CHARS, "latin1");
    return hash("sha256", this.#masking).slice(0, 12);
  }
}

/** The last three groups of a UUID. */
const SEAL_CHARS = "4xxx-8xxx-xxxxxxxxxxxx".length;

/** @param keyed ends with room for a place */
function sealOf(keyed: Buffer, seq: number): string {
  keyed.writeUIntBE(seq, keyed.length - PLACE_BYTES, PLACE_BYTES);
  const digits = hash("sha256", keyed);
  const variant = "89ab"[Number.parseInt(digits[15] as string, 16) & 3];
  return `4${digits.slice(12, 15)}-${variant}${digits.slice(16, 19)}-${digits.slice(0, 12)}`;
}

/** Of the older form: the id itself holds it. */
function plainMaskOf(seal: string): string {
  return seal.slice(-12);
}

function join(place: string, seal: string): string {
  return `${place.slice(0, 8)}-${place.slice(8)}-${seal}`;
}

/** 12 hexadecimal digits. Bitwise operators work on 32 bits, so the number goes in two halves. */
function xor(value: number, mask: string): string {
  const high = Math.floor(value / 2 ** 24) ^ Number.parseInt(mask.slice(0, 6), 16);
  const low = (value % 2 ** 24) ^ Number.parseInt(mask.slice(6), 16);
  return high.toString(16).padStart(6, "0") + low.toString(16).padStart(6, "0");
}
