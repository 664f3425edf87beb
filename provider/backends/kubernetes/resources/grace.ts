import { parseDuration } from "../../../../kit/parse.ts";

/** What watchdogs take when nothing is set. */
const DEFAULT_WRITE_TIMEOUT_MS = 30_000;
/** For the watchdog to notice that it may go, and its child to obey. */
const MARGIN_MS = 3_000;

function durationOr(text: string | undefined, fallbackMs: number): number {
  try {
    return text ? parseDuration(text) : fallbackMs;
  } catch {
    // Watchdogs take a malformed duration for absent, and this has to agree with them.
    return fallbackMs;
  }
}

/**
 * Longest time from SIGTERM to the end that a function's timeouts allow, in whole seconds: it serves on for
 * `healthcheck_interval`, then finishes what is under way within `write_timeout`. A pod that is done earlier goes earlier.
 */
export function terminationGraceSeconds(envVars: Readonly<Record<string, string>> = {}): number {
  const writeMs = durationOr(envVars.write_timeout, DEFAULT_WRITE_TIMEOUT_MS) || DEFAULT_WRITE_TIMEOUT_MS;
  const healthMs = durationOr(envVars.healthcheck_interval, writeMs);
  return Math.ceil((healthMs + writeMs + MARGIN_MS) / 1000);
}
