import { randomUUID } from "node:crypto";
import { constants, openSync } from "node:fs";
import type { Logger } from "../../kit/log.ts";
import { LogOutput, STDOUT } from "../../kit/log-output.ts";
import { StartError } from "../../kit/process.ts";
import type { TelemetryCounts } from "../metrics/telemetry-metrics.ts";
import type { CallObserver } from "../telemetry/call-record.ts";
import type { CallKeeper } from "../telemetry/call-watch.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import type { AccessLogConfig, TracingConfig } from "./telemetry-config.ts";

export interface TelemetryOptions {
  readonly accessLog: AccessLogConfig;
  readonly tracing: TracingConfig | undefined;
  /** Keeps calls for those who look; absent where nobody can. */
  readonly keeper?: CallKeeper | undefined;
  readonly release: string;
  /** Standard output. */
  readonly output?: LogOutput;
  readonly log: Pick<Logger, "info" | "warn">;
}

/** What is told of calls to those who have asked for it. */
export interface OpenTelemetry {
  /** Absent where nobody has. */
  readonly observer: CallObserver | undefined;
  /** Absent unless calls are traced. */
  readonly tracer: Tracer | undefined;
  /** What was told, and what was lost. */
  readonly counts: TelemetryCounts;
  /** Hands on what is left, for a short while. */
  close(): Promise<void>;
}

/** How long a stop waits for the collector. */
const FLUSH_MS = 2_000;

/**
 * Opens what is asked for, and loads no more than that.
 * @throws {StartError} when the file of the access log cannot be opened
 */
export async function openTelemetry({
  accessLog,
  tracing,
  keeper,
  release,
  output = new LogOutput(STDOUT),
  log,
}: TelemetryOptions): Promise<OpenTelemetry> {
  const lines =
    accessLog.kind === "off"
      ? undefined
      : await openAccessLog(accessLog.kind === "file" ? openFile(accessLog.path) : output, log);
  const traces = tracing && (await openTracing(tracing, release, log));
  const { CallWatch } = lines || traces || keeper ? await import("../telemetry/call-watch.ts") : {};
  return {
    observer: CallWatch && new CallWatch(lines?.accessLog, traces?.tracer, keeper),
    tracer: traces?.tracer,
    counts: {
      ...(lines && { droppedLines: lines.dropped }),
      ...(traces && { spans: traces.exporter }),
    },
    close: async () => {
      lines?.accessLog.flush();
      await traces?.close();
    },
  };
}

async function openAccessLog(output: LogOutput, log: Pick<Logger, "warn">) {
  const { AccessLog } = await import("../telemetry/access-log.ts");
  const accessLog = new AccessLog({
    output,
    onLoss: () =>
      log.warn({}, "lines of the access log are lost: they are not read, or written, as fast as calls come"),
  });
  return { accessLog, dropped: () => accessLog.dropped + output.failedLines };
}

/** A pipe that nobody reads fails at once; and none that is read holds anybody up. */
function openFile(path: string): LogOutput {
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
  try {
    // Open until the process ends: the last lines are written then.
    return new LogOutput(openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640));
  } catch (error) {
    throw new StartError(`access_log: cannot write to ${path}: ${(error as Error).message}`, { cause: error });
  }
}

async function openTracing(config: TracingConfig, release: string, log: Pick<Logger, "info" | "warn">) {
  const [{ Collector }, { encodeSpans }, { SpanExporter }, { Tracer }] = await Promise.all([
    import("../telemetry/post-spans.ts"),
    import("../telemetry/otlp.ts"),
    import("../telemetry/span-exporter.ts"),
    import("../telemetry/tracer.ts"),
  ]);
  const { url, headers, gzip, timeoutMs, sampler, maxQueue, maxBatch, delayMs } = config;
  const collector = new Collector({ url, headers, gzip, timeoutMs, userAgent: `faaslane/${release}` });
  const resource = {
    release,
    attributes: {
      "service.version": release,
      "service.instance.id": randomUUID(),
      "process.pid": process.pid,
      "telemetry.sdk.name": "faaslane",
      "telemetry.sdk.language": "nodejs",
      "telemetry.sdk.version": release,
      ...config.resource,
    },
  };
  const facts = { collector: url.origin };
  const exporter = new SpanExporter({
    send: (spans, signal) => collector.post(encodeSpans(resource, spans), signal),
    maxQueue,
    maxBatch,
    delayMs,
    onTrouble: (reason) => log.warn({ ...facts, reason }, "traces cannot be exported; calls go on without them"),
    onRecovery: () => log.info(facts, "traces are exported again"),
    random: Math.random,
  });
  return {
    exporter,
    tracer: new Tracer({ sampler, add: (spans) => exporter.add(spans) }),
    close: async () => {
      await exporter.close(FLUSH_MS);
      collector.close();
    },
  };
}
