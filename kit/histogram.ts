import type { Metric, Registry } from "prom-client";

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
    const fit = this.bounds.findIndex((bound) => value <= bound);
    const place = fit === -1 ? this.bounds.length : fit;
    this.buckets[place] = (this.buckets[place] as number) + 1;
  }
}

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

interface Value {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly metricName: string;
}

function register(registry: Registry, type: string, name: string, help: string, values: () => Value[]): void {
  // prom-client asks its metrics for no more than these members.
  const metric = {
    name,
    async get() {
      return { name, help, type, aggregator: "sum", values: values() };
    },
    reset() {},
  };
  registry.registerMetric(metric as unknown as Metric);
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
