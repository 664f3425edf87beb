import type { Registry } from "prom-client";
import { register, type Value } from "./series.ts";

/** Counts values by bucket. Plain numbers: thousands are kept, and they are read only when somebody scrapes. */
export class Tally {
  count = 0;
  sum = 0;
  /** Upper bounds, rising. */
  readonly bounds: readonly number[];
  /** Values by the first bound they fit under; the last place is for those above all. */
  readonly buckets: number[];

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.buckets = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    const { bounds } = this;
    let place = 0;
    while (place < bounds.length && value > (bounds[place] as number)) place++;
    this.buckets[place] = (this.buckets[place] as number) + 1;
  }

  /** Adds what was counted elsewhere, under the same bounds. */
  add({ count, sum, buckets }: TallyReport): void {
    this.count += count;
    this.sum += sum;
    for (let place = 0; place < this.buckets.length; place++) {
      this.buckets[place] = (this.buckets[place] as number) + (buckets[place] ?? 0);
    }
  }
}

/** What a {@link Tally} counted, as it crosses to another thread. */
export type TallyReport = Pick<Tally, "count" | "sum" | "buckets">;

export interface TallySeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly tally: Tally;
}

/** A histogram whose tallies are read from elsewhere at each scrape. */
export function registerHistogram(
  registry: Registry,
  name: string,
  help: string,
  series: () => Iterable<TallySeries>,
): void {
  register(registry, "histogram", name, help, () => [...series()].flatMap((one) => tallyValues(name, one)));
}

export interface TotalSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
  readonly sum: number;
}

/** Means without a distribution, read from elsewhere at each scrape: a summary that has no quantiles. */
export function registerTotals(
  registry: Registry,
  name: string,
  help: string,
  series: () => Iterable<TotalSeries>,
): void {
  register(registry, "summary", name, help, () =>
    [...series()].flatMap(({ labels, count, sum }) => [
      { labels, value: sum, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    ]),
  );
}

function tallyValues(name: string, { labels, tally }: TallySeries): Value[] {
  let below = 0;
  const buckets = [...tally.bounds.map(String), "+Inf"].map((le, place) => {
    below += tally.buckets[place] as number;
    return { labels: { ...labels, le }, value: below, metricName: `${name}_bucket` };
  });
  return [
    ...buckets,
    { labels, value: tally.sum, metricName: `${name}_sum` },
    { labels, value: tally.count, metricName: `${name}_count` },
  ];
}
