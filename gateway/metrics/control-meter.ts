import type { IncomingMessage, ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import { PATHS } from "../../contract/paths.ts";
import { registerHistogram, Tally } from "../../kit/histogram.ts";
import { register } from "../../kit/series.ts";

/** Upper bounds in seconds: Prometheus' own defaults. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const KNOWN = Object.values(PATHS).filter((path) => path.startsWith("/system/"));
const WHOLE: ReadonlySet<string> = new Set(KNOWN.filter((path) => !path.endsWith("/")));
const PREFIXES = KNOWN.filter((path) => path.endsWith("/"));

/** nginx's code for a client that left before it was answered. */
const CLIENT_LEFT = 499;

/** Counts the requests for the control routes. */
export class ControlMeter {
  readonly #tallies = new Map<string, { readonly labels: Record<string, string>; readonly tally: Tally }>();

  /** Middleware of Express. */
  readonly observe = (req: IncomingMessage & { originalUrl?: string }, res: ServerResponse, next: () => void): void => {
    const startedAt = performance.now();
    const { method = "", originalUrl = "" } = req;
    res.once("close", () => {
      const status = String(res.headersSent ? res.statusCode : CLIENT_LEFT);
      const labels = { method: METHODS.has(method) ? method : "other", path: pathLabel(originalUrl), status };
      this.#tally(labels).observe((performance.now() - startedAt) / 1000);
    });
    next();
  };

  /** Under the names of OpenFaaS Pro. */
  register(registry: Registry): void {
    register(registry, "counter", "http_requests_total", "Requests for control routes.", () =>
      [...this.#tallies.values()].map(({ labels, tally }) => ({ labels, value: tally.count })),
    );
    const help = "Time from the head of a request for a control route to the end of its answer.";
    registerHistogram(registry, "http_request_duration_seconds", help, () => this.#tallies.values());
  }

  #tally(labels: Record<string, string>): Tally {
    const key = Object.values(labels).join(" ");
    let known = this.#tallies.get(key);
    if (!known) {
      known = { labels, tally: new Tally(BOUNDS) };
      this.#tallies.set(key, known);
    }
    return known.tally;
  }
}

/** Takes few values: names are cut off, as each would make a time series. */
function pathLabel(url: string): string {
  const queryAt = url.indexOf("?");
  const path = queryAt < 0 ? url : url.slice(0, queryAt);
  if (WHOLE.has(path)) return path;
  const prefix = PREFIXES.find((known) => path.startsWith(known));
  return prefix === undefined ? "other" : prefix.slice(0, -1);
}
