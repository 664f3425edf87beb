import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { ensureDatabasePlace, lookAtDisk } from "../../../kit/database-place.ts";
import type { Logger } from "../../../kit/log.ts";
import { moduleUrl } from "../../../kit/module-url.ts";
import { StartError } from "../../../kit/process.ts";
import type { EventStore } from "../event-store.ts";
import type { ResourceStore } from "../resource-store.ts";
import type { EmbeddedEventSettings } from "./protocol.ts";
import { EmbeddedResourceStore } from "./resources.ts";
import { EmbeddedEventStore } from "./store.ts";

const MIB = 1024 ** 2;
const GIB = 1024 * MIB;

export interface EmbeddedEventsOptions extends Partial<Omit<EmbeddedEventSettings, "path">> {
  /** The database file; it and its folder are made when something is stored first. One process at a time can have it open. */
  readonly path: string;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Of one event: attributes, headers and data. Default 1 MiB. */
  readonly maxEventBytes?: number;
  /** On their way to the disk; more are `overloaded`. Default 64 MiB. */
  readonly maxUnstoredBytes?: number;
  /** Told once when the thread has died for good. From then on nothing is taken or delivered. */
  readonly onFailure?: (error: Error) => void;
  /** Pauses before the thread is started again, one for each time in a row that it dies. Default 0.1 to 30 s, 6 times. */
  readonly restartWaitsMs?: readonly number[];
  /** Starts the thread; another one in tests. */
  readonly startThread?: (settings: EmbeddedEventSettings) => Worker;
}

export interface EmbeddedEvents {
  readonly events: EventStore;
  readonly resources: ResourceStore;
  close(): Promise<void>;
}

/**
 * Events and what is declared beside them in one SQLite file, written by a thread of its own, so that neither disk nor
 * database ever blocks the caller. What is stored at the same time shares one commit. Neither file nor thread is there
 * until something is stored.
 * @throws {StartError} naming the file, when it is there and cannot be opened
 */
export async function openEmbeddedEvents(options: EmbeddedEventsOptions): Promise<EmbeddedEvents> {
  const { path, log, maxEventBytes, maxUnstoredBytes, onFailure, restartWaitsMs, startThread, ...own } = options;
  const isEmpty = !existsSync(path);
  const start = startThread ?? startEventThread;
  let settings: EmbeddedEventSettings = {
    minFreeBytes: 0,
    maxBytes: 64 * GIB,
    keepDataBytes: 64 * 1024,
    ...own,
    path,
  };
  const events = new EmbeddedEventStore({
    prepare: async () => {
      await ensureDatabasePlace(path);
      const { bytes } = await lookAtDisk(path);
      settings = { ...settings, minFreeBytes: own.minFreeBytes ?? Math.min(GIB, Math.floor(bytes / 20)) };
    },
    startThread: () => start(settings),
    restartWaitsMs: restartWaitsMs ?? [100, 1000, 3000, 10_000, 30_000, 30_000],
    maxEventBytes: maxEventBytes ?? MIB,
    maxUnstoredBytes: maxUnstoredBytes ?? 64 * MIB,
    cacheBytes: 8 * MIB,
    isEmpty,
    log,
    ...(onFailure && { onFailure }),
  });
  if (!isEmpty) {
    await events.link.open().catch(({ cause }: Error) => {
      throw new StartError(cause instanceof Error ? cause.message : String(cause), { cause });
    });
  }
  return {
    events,
    resources: new EmbeddedResourceStore(events.link, isEmpty),
    close: () => events.close(),
  };
}

function startEventThread(settings: EmbeddedEventSettings): Worker {
  return new Worker(moduleUrl("./engine/thread-main", import.meta.url), {
    name: "faaslane-events",
    workerData: settings,
    env: {},
    // `node:sqlite` and type stripping say that they are young.
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
}
