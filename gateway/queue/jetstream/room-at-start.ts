import { StartError } from "../../../kit/process.ts";
import type { Link } from "../../nats/connection.ts";
import { isShort } from "../../nats/ensure-stream.ts";
import { completeLimits } from "../call-limits.ts";
import type { CallLimits } from "../stats.ts";
import {
  type AccountStorage,
  decideRoom,
  MIN_CALL_BYTES,
  readAccount,
  readServer,
  type StorageNeed,
} from "./client/storage.ts";
import { RESERVING } from "./client/streams.ts";
import type { JetStreamSettings } from "./options.ts";

/**
 * The settings, with calls bounded by what there is room for where nobody has said how many bytes they may take: a server
 * whose storage is used up stores nothing any more, not even what has become of a call.
 * @param asked limits as they were given
 * @throws {StartError} naming what is needed, what there is, and the setting, when that is too little
 */
export async function fitToRoom(
  link: Link,
  settings: JetStreamSettings,
  asked: Partial<CallLimits>,
): Promise<JetStreamSettings> {
  const { callLimits, log } = settings;
  const account = await readAccount(link, settings, RESERVING);
  let room = roomIn(account, settings, asked);
  const server = isClustered(link)
    ? undefined
    : await readServer(link, needOf(settings, asked), RESERVING, asked.bytes ?? 2 * callLimits.bytes).catch((err) => {
        log.warn({ err }, "how much storage NATS has cannot be found out");
        return undefined;
      });
  if (server) room = Math.min(room, roomIn(server, settings, asked));
  const fitting = completeLimits(asked, room);
  if (fitting.bytes === callLimits.bytes) return settings;
  log.info({ bytes: fitting.bytes }, "calls may take half of what NATS has room for");
  return { ...settings, callLimits: fitting };
}

/**
 * Servers of a cluster tell each other late what they have left: to try it out would make others look full for a while.
 */
export function isClustered({ nc }: Link): boolean {
  return nc.info?.cluster !== undefined;
}

/** @returns bytes for calls @throws {StartError} */
function roomIn(has: AccountStorage, settings: JetStreamSettings, asked: Partial<CallLimits>): number {
  const room = decideRoom(has, needOf(settings, asked));
  if ("message" in room) throw refusal(settings, room.message);
  return room.callBytes ?? Number.POSITIVE_INFINITY;
}

/**
 * @param error that making the streams has failed with
 * @returns the refusal to start, when it is that the server has too little room; else undefined
 */
export async function refusalFor(
  error: unknown,
  link: Link,
  settings: JetStreamSettings,
): Promise<StartError | undefined> {
  if (error instanceof StartError) return error;
  if (!isShort(error)) return undefined;
  const need = needOf(settings, {});
  // Twice what a queue needs at least, so that it shows when there is enough after all.
  const room = decideRoom(await readServer(link, need, RESERVING, 2 * MIN_CALL_BYTES), need);
  return "message" in room ? refusal(settings, room.message) : undefined;
}

function needOf({ storage, replicas, limits }: JetStreamSettings, { bytes }: Partial<CallLimits>): StorageNeed {
  return { storage, replicas, reservedBytes: limits.maxDeadBytes + limits.maxFinishedBytes, callBytes: bytes };
}

function refusal({ servers }: JetStreamSettings, why: string): StartError {
  return new StartError(`cannot keep the queue at NATS ${servers}: ${why}`);
}
