import { setFlagsFromString } from "node:v8";

/**
 * Has the thread that fills the young generation collect it, without helpers. They make that shorter where cores are
 * idle; where none is, the thread waits for each helper's turn, tens of milliseconds for what takes one.
 */
export function collectYoungAlone(): void {
  setFlagsFromString("--no-parallel-scavenge");
}
