import { randomInt, randomUUID } from "node:crypto";

/** Letters and digits that the API server makes names of: none that could form words. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** Where names and ids come from. */
export interface Random {
  uuid(): string;
  /** Five letters, as they end generated names. */
  suffix(): string;
}

export const systemRandom: Random = {
  uuid: () => randomUUID(),
  suffix: () => Array.from({ length: 5 }, () => ALPHABET[randomInt(ALPHABET.length)]).join(""),
};

/** A short text that is the same for the same input, as `pod-template-hash`. */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return [...String(hash)].map((digit) => ALPHABET[Number(digit) + 3]).join("");
}
