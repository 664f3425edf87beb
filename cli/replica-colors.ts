import type { Io } from "./io.ts";
import { printable, printableLine } from "./printable.ts";

/** Cyan, yellow, green, magenta, blue, red: those that can be read on dark and on light. */
const COLORS = [36, 33, 32, 35, 34, 31];

/** Whether output may be coloured: on a terminal that knows colours, unless `NO_COLOR` is set to anything. */
export function wantsColor({ stdout, env }: Pick<Io, "stdout" | "env">): boolean {
  return stdout.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}

/**
 * Colours what stands before a line, a replica always the same. The first has none, so one alone is plain; the six after it
 * differ. What comes out are bytes that go
 * to a terminal as they are: what a terminal would act on is an escape in them already.
 */
export function createReplicaColors(): (instance: string, before: string, text: string) => Buffer {
  const known = new Map<string, number>();
  return (instance, before, text) => {
    const index = known.get(instance) ?? known.size;
    // Of more replicas than anybody tells apart, none is remembered.
    if (known.size < 1_000) known.set(instance, index);
    const shown = printableLine(before);
    const painted = index === 0 ? shown : `\u001b[${COLORS[(index - 1) % COLORS.length]}m${shown}\u001b[0m`;
    const start = before === "" ? "" : `${painted} `;
    return Buffer.from(`${start}${printable(text)}\n`);
  };
}
