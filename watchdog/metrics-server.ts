import { readdirSync } from "node:fs";
import type { Server } from "node:http";
import type { CallMetrics } from "./metrics.ts";
import { createGuardedServer } from "./serve.ts";

/** Serves `/metrics` on a port of its own, so that scraping never meets the function's limits. */
export function createMetricsServer(metrics: CallMetrics): Server {
  const { server } = createGuardedServer({ requestMs: 5000 }, (req, res) => {
    if (req.url?.split("?", 1)[0] !== "/metrics") {
      res.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" }).end("404 page not found\n");
      return;
    }
    const body = metrics.render() + renderProcess();
    res.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" }).end(body);
  });
  return server;
}

/** The watchdog's own process, under the names of Prometheus's client libraries. */
function renderProcess(): string {
  const { user, system } = process.cpuUsage();
  const startedAt = (performance.timeOrigin / 1000).toFixed(3);
  const metrics: [name: string, type: string, help: string, value: number | string][] = [
    ["process_cpu_seconds_total", "counter", "User and system CPU time spent in seconds.", (user + system) / 1e6],
    ["process_open_fds", "gauge", "Open file descriptors.", countOpenFiles()],
    ["process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", process.memoryUsage.rss()],
    ["process_start_time_seconds", "gauge", "Start time since the Unix epoch in seconds.", startedAt],
  ];
  return metrics
    .filter(([, , , value]) => value !== -1)
    .map(([name, type, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join("");
}

/** -1 where the system does not tell, or has no descriptor left to look with. */
function countOpenFiles(): number {
  try {
    return process.platform === "linux" ? readdirSync("/proc/self/fd").length : -1;
  } catch {
    return -1;
  }
}
