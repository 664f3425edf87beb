import { STATUS_CODES } from "node:http";
import type { TrackedResponse } from "./tracked-response.ts";

/** A call in the log, as OpenFaaS's second watchdog writes it. */
export function accessLine(res: TrackedResponse, status: number, seconds: number, withCallId: boolean): string {
  const { method, url, headers } = res.req;
  const callId = withCallId ? ` [${headers["x-call-id"] ?? "none"}]` : "";
  const size = `ContentLength: ${humanSize(res.contentLength)}`;
  return `${method} ${url} - ${status} ${STATUS_CODES[status] ?? ""} - ${size} (${seconds.toFixed(4)}s)${callId}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Four digits and a unit, in thousands: `360B`, `1.5kB`. */
export function humanSize(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${Number(size.toPrecision(4))}${UNITS[unit]}`;
}
