import { createInterface } from "node:readline";
import type { Io } from "./io.ts";

/** Whether there is somebody to be asked. */
export function canAsk({ stdin, stderr }: Pick<Io, "stdin" | "stderr">): boolean {
  return stdin.isTTY === true && stderr.isTTY === true;
}

/** Asks a question; anything but a yes is a no, also the end of the input. */
export async function askYesNo({ stdin, stderr }: Pick<Io, "stdin" | "stderr">, question: string): Promise<boolean> {
  stderr.write(`${question} [y/N] `);
  const reader = createInterface({ input: stdin });
  try {
    for await (const line of reader) return /^y(es)?$/i.test(line.trim());
    return false;
  } finally {
    reader.close();
  }
}
