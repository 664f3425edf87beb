import { once } from "node:events";
import type { ServerResponse } from "node:http";

export const NDJSON = "application/x-ndjson";

export interface NdjsonOptions {
  /** Aborted when the stream should end; the iterable has to end by itself then. */
  readonly signal: AbortSignal;
  /** A line sent so often, so that both ends notice a dead connection. A reader that lets {@link MISSED_BEATS} pass is cut. */
  readonly heartbeat?: Heartbeat;
}

export interface Heartbeat {
  readonly everyMs: number;
  readonly value: unknown;
  /** Tells the item from which on `value` may be sent; before, an empty line says that there is somebody. Default: the first. */
  readonly begins?: (item: unknown) => boolean;
}

/** Heartbeats in a row that a reader may be too slow for. */
export const MISSED_BEATS = 4;

/** Aborts as soon as the client has gone or the answer is complete. */
export function clientGone(res: ServerResponse): AbortSignal {
  const controller = new AbortController();
  if (res.destroyed || res.writableFinished) controller.abort();
  else res.once("close", () => controller.abort());
  return controller.signal;
}

/**
 * Sends every item as a line of its own, the head at once, and no faster than the client reads.
 * @throws what `items` throws, unless `signal` is aborted
 */
export async function sendNdjson(
  res: ServerResponse,
  items: AsyncIterable<unknown>,
  { signal, heartbeat }: NdjsonOptions,
): Promise<void> {
  res.statusCode = 200;
  res.setHeader("Content-Type", NDJSON);
  res.flushHeaders();
  const begins = heartbeat?.begins;
  let begun = begins === undefined;
  const beatLine = line(heartbeat?.value);
  const stopBeating = heartbeat && beat(res, heartbeat.everyMs, () => (begun ? beatLine : "\n"));
  try {
    for await (const item of items) {
      if (res.destroyed) return;
      begun ||= begins?.(item) ?? true;
      if (!res.write(line(item))) await drained(res);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stopBeating?.();
  }
  res.end();
}

const line = (value: unknown) => `${JSON.stringify(value)}\n`;

function beat(res: ServerResponse, everyMs: number, text: () => string): () => void {
  let missed = 0;
  const timer = setInterval(() => {
    if (res.destroyed) return;
    if (!res.writableNeedDrain) {
      missed = 0;
      res.write(text());
    } else if (++missed >= MISSED_BEATS) res.destroy();
  }, everyMs);
  return () => clearInterval(timer);
}

async function drained(res: ServerResponse): Promise<void> {
  const settled = new AbortController();
  const options = { signal: settled.signal };
  try {
    await Promise.race([once(res, "drain", options), once(res, "close", options)]);
  } finally {
    settled.abort();
  }
}
