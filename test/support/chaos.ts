import { eventually } from "./eventually.ts";

export interface Deed {
  readonly name: string;
  /** Kills and starts again. */
  run(): Promise<void>;
  /** How long its death has an effect after it is back. */
  readonly aftermathMs?: number;
}

/** Something that was dead for a while, or whose death had an effect still. Milliseconds since the epoch. */
export interface Outage {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface ChaosOptions {
  readonly deeds: readonly Deed[];
  readonly random: () => number;
  /** From 0 to 1: how much of the work is behind us. */
  progress(): number | Promise<number>;
  readonly deadlineMs: number;
}

/** Does all deeds, in random order, at random moments of the work. */
export async function wreakChaos({ deeds, random, progress, deadlineMs }: ChaosOptions): Promise<Outage[]> {
  const order = deeds
    .map((deed) => ({ deed, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ deed }) => deed);
  // The last tenth is left for what has been started again to be of use.
  const moments = order.map(() => 0.02 + 0.88 * random()).toSorted((a, b) => a - b);
  const outages: Outage[] = [];
  for (const [i, deed] of order.entries()) {
    const moment = moments[i] as number;
    await eventually(
      `${moment.toFixed(2)} of the work is done`,
      async () => (await progress()) >= moment,
      deadlineMs,
      20,
    );
    const from = Date.now();
    await deed.run();
    outages.push({ name: deed.name, from, to: Date.now() + (deed.aftermathMs ?? 0) });
  }
  return outages;
}
