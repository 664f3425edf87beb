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

/** A histogram whose tallies are read from elsewhere at each scrape; prom-client asks for no more than these members. */
export function registerHistogram(
  registry: Registry,
  name: string,
  help: string,
  series: () => Iterable<TallySeries>,
): void {
  const metric = {
    name,
    async get() {
      const values = [...series()].flatMap((one) => tallyValues(name, one));
      return { name, help, type: "histogram", aggregator: "sum", values };
    },
    reset() {},
  };
  registry.registerMetric(metric as unknown as Metric);
}

function tallyValues(name: string, { labels, tally }: TallySeries) {
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
