import { Worker } from "node:worker_threads";
import { ensureDatabasePlace, lookAtDisk } from "../../../kit/database-place.ts";
import type { Logger } from "../../../kit/log.ts";
import { moduleUrl } from "../../../kit/module-url.ts";
import { completeLimits } from "../call-limits.ts";
import type { Queue } from "../queue.ts";
import type { CallLimits } from "../stats.ts";
import type { EmbeddedSettings } from "./protocol.ts";
import { EmbeddedQueue } from "./queue.ts";

const MIB = 1024 ** 2;
const GIB = 1024 * MIB;

export interface EmbeddedQueueOptions extends Partial<Omit<EmbeddedSettings, "path" | "limits">> {
  /** The database file; it and its folder are made when missing. One process at a time can have it open. */
  readonly path: string;
  readonly maxBodyBytes: number;
  /** Unfinished calls it takes; more are `overloaded`. Defaults: {@link completeLimits}. */
  readonly limits?: Partial<CallLimits>;
  /** Calls on their way to the disk, in bytes; more are `overloaded`. Default 64 MiB. */
  readonly maxUnstoredBytes?: number;
  /** Of one result, headers and body. Default 1 MiB. */
  readonly maxResultBytes?: number;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Told once when the queue's thread has died for good. From then on nothing is accepted or delivered. */
  readonly onFailure?: (error: Error) => void;
  /** Pauses before the thread is started again, one for each time in a row that it dies. Default 0.1 to 30 s, 6 times. */
  readonly restartWaitsMs?: readonly number[];
  /** Starts the thread; another one in tests. */
  readonly startThread?: (settings: EmbeddedSettings) => Worker;
}

/**
 * A queue in one SQLite file, written by a thread of its own, so that neither disk nor database ever blocks the caller.
 * What is published at the same time shares one commit.
 *
 * An attempt that a crash of the process cuts off is not counted as an attempt; a call cut off `maxInterruptions` times
 * is dead. A call whose time has passed is ended by the queue, unless it has a callback: then it is still delivered, for
 * the callback to be made.
 * @throws {Error} naming the file, when it cannot be opened or is not a queue of this release or the one before
 */
export async function openEmbeddedQueue(options: EmbeddedQueueOptions): Promise<Queue> {
  await ensureDatabasePlace(options.path); // bodies and credentials of callers: for nobody else to read
  const disk = await lookAtDisk(options.path);
  const { path, maxBodyBytes, maxUnstoredBytes, maxResultBytes, log, onFailure, restartWaitsMs, startThread, ...own } =
    options;
  const limits = completeLimits(own.limits ?? {}, disk.usableBytes);
  const settings: EmbeddedSettings = {
    minFreeBytes: Math.min(GIB, Math.floor(disk.bytes / 20)),
    maxBytes: Math.max(16 * GIB, 2 * limits.bytes),
    maxDead: 10_000,
    maxDeadBytes: 256 * MIB,
    maxInterruptions: 10,
    resultTtlMs: 15 * 60_000,
    maxFinished: 1_000_000,
    maxFinishedBytes: GIB,
    ...own,
    path,
    limits,
  };
  const start = startThread ?? startQueueThread;
  const queue = new EmbeddedQueue({
    startThread: () => start(settings),
    maxBodyBytes,
    maxResultBytes: settings.resultTtlMs === 0 ? 0 : (maxResultBytes ?? MIB),
    maxUnstoredBytes: maxUnstoredBytes ?? 64 * MIB,
    restartWaitsMs: restartWaitsMs ?? [100, 1000, 3000, 10_000, 30_000, 30_000],
    log,
    ...(onFailure && { onFailure }),
  });
  await queue.opened;
  return queue;
}

function startQueueThread(settings: EmbeddedSettings): Worker {
  return new Worker(moduleUrl("./engine/thread-main", import.meta.url), {
    name: "faaslane-queue",
    workerData: settings,
    env: {},
    // `node:sqlite` and type stripping say that they are young.
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
}
