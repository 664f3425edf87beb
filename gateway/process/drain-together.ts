import type { DrainingServer } from "../../kit/server.ts";
import { sleep } from "../../kit/sleep.ts";
import { stoppingError } from "../app.ts";
import type { FunctionTable } from "../proxy/function-table.ts";

export interface DrainOptions {
  readonly api: Pick<DrainingServer, "drain">;
  /** Whose calls take the same way to their functions. */
  readonly worker: { close(): Promise<void> } | undefined;
  /** Deliveries of events take the same way too. */
  readonly events: { drain(timeoutMs: number): Promise<void> } | undefined;
  /** Those who wait for the end of an asynchronous call. */
  readonly calls: { close(): void } | undefined;
  /** Lets go of those who follow something that has no end of its own. */
  readonly endStreams: () => void;
  readonly table: Pick<FunctionTable, "entries">;
  /** For so long all goes on: whoever asks for the gateway's health has learnt of its end by then. */
  readonly delayMs: number;
  readonly timeoutMs: number;
}

/** Part of the time after which calls that still wait for a replica are told, while there is time to answer. */
const GIVE_UP = 0.9;

/**
 * Stops the API and the worker side by side. Who waits for the end of an asynchronous call, or follows something, is let go
 * at once.
 */
export async function drainTogether(options: DrainOptions): Promise<void> {
  const { api, worker, events, calls, endStreams, table, delayMs, timeoutMs } = options;
  if (delayMs > 0) await sleep(delayMs);
  const giveUp = setTimeout(() => {
    for (const entry of table.entries()) entry.held.close(stoppingError());
  }, timeoutMs * GIVE_UP);
  calls?.close();
  endStreams();
  await Promise.all([api.drain(timeoutMs), worker?.close(), events?.drain(timeoutMs)]);
  clearTimeout(giveUp);
}
