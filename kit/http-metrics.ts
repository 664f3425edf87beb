import type { RequestHandler } from "express";
import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";

export interface HttpMetrics {
  /** Counts and times every request that passes. */
  readonly observe: RequestHandler;
  /** `GET /metrics` in Prometheus' text format. */
  readonly expose: RequestHandler;
  /** For further series. */
  readonly registry: Registry;
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Nginx's status for a client that left before it was answered. */
const CLIENT_LEFT = 499;

/**
 * `<prefix>_http_requests_total` and `<prefix>_http_request_duration_seconds` by code, method and path, next to the
 * defaults of the process.
 * @param labelOf the `path` label of a request's path; takes a bounded number of values, as each makes a time series
 */
export function createHttpMetrics(prefix: string, labelOf: (path: string) => string): HttpMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const labelNames = ["code", "method", "path"] as const;
  const requests = new Counter({
    name: `${prefix}_http_requests_total`,
    help: "Requests answered.",
    labelNames,
    registers: [registry],
  });
  const durations = new Histogram({
    name: `${prefix}_http_request_duration_seconds`,
    help: "Time from a request's head to the end of its answer.",
    labelNames,
    registers: [registry],
  });

  return {
    registry,
    observe(req, res, next) {
      const startedAt = performance.now();
      const path = labelOf(req.baseUrl + req.path);
      const method = METHODS.has(req.method) ? req.method : "other";
      res.once("close", () => {
        const labels = { code: String(res.headersSent ? res.statusCode : CLIENT_LEFT), method, path };
        requests.inc(labels);
        durations.observe(labels, (performance.now() - startedAt) / 1000);
      });
      next();
    },
    async expose(_req, res) {
      const text = await registry.metrics();
      res.setHeader("Content-Type", registry.contentType);
      res.end(text);
    },
  };
}
