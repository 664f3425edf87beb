import { StartError } from "../../../kit/process.ts";
import type { Link } from "../../nats/connection.ts";
import { completeLimits } from "../call-limits.ts";
import type { CallLimits } from "../stats.ts";
import { decideRoom, explainShortage, isShort, readAccount, type StorageNeed } from "./client/storage.ts";
import { RESERVING } from "./client/streams.ts";
import type { JetStreamSettings } from "./options.ts";

/**
 * The settings, with calls bounded by what the account may store where nobody has said how many bytes they may take.
 * @param asked limits as they were given
 * @throws {StartError} naming what is needed, what there is, and the setting, when the account has too little
 */
export async function fitToAccount(
  link: Link,
  settings: JetStreamSettings,
  asked: Partial<CallLimits>,
): Promise<JetStreamSettings> {
  const account = await readAccount(link, settings, RESERVING);
  const room = decideRoom(account, needOf(settings, asked));
  if ("message" in room) throw refusal(settings, room.message);
  const { callLimits, log } = settings;
  const fitting = completeLimits(asked, room.callBytes);
  if (fitting.bytes === callLimits.bytes) return settings;
  log.info({ bytes: fitting.bytes }, "calls may take half of what the NATS account has room for");
  return { ...settings, callLimits: fitting };
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
  const { message } = await explainShortage(link, needOf(settings, {}), RESERVING);
  return refusal(settings, message);
}

function needOf({ storage, replicas, limits }: JetStreamSettings, { bytes }: Partial<CallLimits>): StorageNeed {
  return { storage, replicas, reservedBytes: limits.maxDeadBytes + limits.maxFinishedBytes, callBytes: bytes };
}

function refusal({ servers }: JetStreamSettings, why: string): StartError {
  return new StartError(`cannot keep the queue at NATS ${servers}: ${why}`);
}
