import type { BrokerRef } from "../event-store.ts";

/** A number for a text of a broker's, for an index that is small. Others may have the same. */
export function eventHash({ namespace, name }: BrokerRef, text: string): number {
  return add(add(add(0x811c9dc5, namespace), name), text) >>> 0;
}

/** FNV-1a, over characters, with one more that none has between texts. */
function add(hash: number, text: string): number {
  let value = hash;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return Math.imul(value ^ 0x10000, 0x01000193);
}
