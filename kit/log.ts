import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import { LogOutput, STDOUT } from "./log-output.ts";

export type { Logger } from "pino";
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One JSON line per event on `destination` (standard output unless given), with credentials blanked out. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: ["headers.authorization", "req.headers.authorization"],
  };
  return pino(options, destination ?? new LogOutput(STDOUT));
}
