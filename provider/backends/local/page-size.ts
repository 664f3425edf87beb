import { readFileSync } from "node:fs";

/** `AT_PAGESZ` of the auxiliary vector. */
const PAGE_SIZE_ENTRY = 6n;

/** Bytes of a page of memory, in which the kernel counts. */
export function readPageSize(): number {
  try {
    const entries = new BigUint64Array(new Uint8Array(readFileSync("/proc/self/auxv")).buffer);
    for (let i = 0; i + 1 < entries.length; i += 2) if (entries[i] === PAGE_SIZE_ENTRY) return Number(entries[i + 1]);
  } catch {
    // No Linux, or not one of 64 bits.
  }
  return 4096;
}
