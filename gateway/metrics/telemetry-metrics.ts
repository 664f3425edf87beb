import type { Registry } from "prom-client";
import { register } from "../../kit/series.ts";
import type { SpanExporter } from "../telemetry/span-exporter.ts";

/** What was told of calls, and what was lost of that; absent for what nobody has asked for. */
export interface TelemetryCounts {
  readonly droppedLines?: () => number;
  readonly spans?: Pick<SpanExporter, "exported" | "dropped">;
}

/** @param prefix which process it is */
export function registerTelemetryMetrics(
  registry: Registry,
  prefix: "gateway" | "queue_worker" | "event_worker",
  { droppedLines, spans }: TelemetryCounts,
): void {
  if (droppedLines) {
    const help = "Lines of the access log that were lost, as they were not taken fast enough.";
    register(registry, "counter", `${prefix}_access_log_dropped_total`, help, () => [
      { labels: {}, value: droppedLines() },
    ]);
  }
  if (!spans) return;
  register(registry, "counter", `${prefix}_trace_spans_exported_total`, "Spans that a collector has taken.", () => [
    { labels: {}, value: spans.exported },
  ]);
  register(registry, "counter", `${prefix}_trace_spans_dropped_total`, "Spans that were lost, by reason.", () =>
    Object.entries(spans.dropped).map(([reason, value]) => ({ labels: { reason }, value })),
  );
}
