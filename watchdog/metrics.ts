const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
const METHODS = ["GET", "PUT", "HEAD", "POST", "DELETE", "CONNECT", "OPTIONS", "NOTIFY", "TRACE", "PATCH"] as const;

class Series {
  readonly labels: string;
  /** Per bucket, not yet cumulative; the last one is +Inf. */
  readonly counts = new Float64Array(BUCKETS.length + 1);
  sum = 0;
  total = 0;

  constructor(method: string, code: number) {
    this.labels = `code="${code}",method="${method}"`;
  }

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > (BUCKETS[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += seconds;
    this.total++;
  }
}

/** Counts of calls under the names of OpenFaaS's watchdogs, so that its dashboards work. */
export class CallMetrics {
  /** Calls under way. */
  inFlight = 0;
  readonly #byMethod = new Map<string, Map<number, Series>>(METHODS.map((method) => [method, new Map()]));
  readonly #byUnknown = new Map<number, Series>();

  /** @param method as in the request line; an uncommon verb is counted as `unknown`, so that callers cannot add labels */
  observe(method: string, code: number, seconds: number): void {
    const byCode = this.#byMethod.get(method) ?? this.#byUnknown;
    let series = byCode.get(code);
    if (series === undefined) {
      series = new Series(byCode === this.#byUnknown ? "unknown" : method.toLowerCase(), code);
      byCode.set(code, series);
    }
    series.observe(seconds);
  }

  /** The counts in Prometheus's text format. */
  render(): string {
    const all = [...this.#byMethod.values(), this.#byUnknown].flatMap((byCode) => [...byCode.values()]);
    const lines: string[] = [];
    if (all.length > 0) {
      lines.push(
        "# HELP http_request_duration_seconds Seconds spent serving HTTP requests.",
        "# TYPE http_request_duration_seconds histogram",
      );
      for (const series of all) pushHistogram(lines, series);
    }
    lines.push(
      "# HELP http_requests_in_flight total HTTP requests in-flight",
      "# TYPE http_requests_in_flight gauge",
      `http_requests_in_flight ${this.inFlight}`,
    );
    if (all.length > 0) {
      lines.push(
        "# HELP http_requests_total total HTTP requests processed",
        "# TYPE http_requests_total counter",
        ...all.map((series) => `http_requests_total{${series.labels}} ${series.total}`),
      );
    }
    return `${lines.join("\n")}\n`;
  }
}

function pushHistogram(lines: string[], { labels, counts, sum, total }: Series): void {
  const name = "http_request_duration_seconds";
  let cumulative = 0;
  BUCKETS.forEach((bound, index) => {
    cumulative += counts[index] as number;
    lines.push(`${name}_bucket{${labels},le="${bound}"} ${cumulative}`);
  });
  lines.push(
    `${name}_bucket{${labels},le="+Inf"} ${total}`,
    `${name}_sum{${labels}} ${sum}`,
    `${name}_count{${labels}} ${total}`,
  );
}
