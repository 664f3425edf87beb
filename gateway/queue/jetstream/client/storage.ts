import { randomUUID } from "node:crypto";
import { API_ERRORS, isApiError, JetStreamError, type Link } from "../../../nats/connection.ts";
import { MIN_RESERVED_BYTES } from "../../reserved-bytes.ts";

/** What streams need of a server at once, whether or not anything is stored in them. */
export interface StorageNeed {
  readonly storage: "file" | "memory";
  readonly replicas: number;
  /** Of one copy of all streams that reserve some. */
  readonly reservedBytes: number;
  /** Of calls that wait, of one copy; undefined when fewer of them would do. */
  readonly callBytes: number | undefined;
}

/** What an account may store; bytes of all copies together, or of one where the server counts them apart. */
export interface AccountStorage {
  /** Undefined where the account itself has no limit. */
  readonly limitBytes: number | undefined;
  /** By all streams of the account, and of these by the queue's own. */
  readonly reservedBytes: number;
  readonly ownBytes: number;
  /** How often a stream counts. */
  readonly copies: number;
}

interface Counted {
  readonly reserved_memory?: number;
  readonly reserved_storage?: number;
  readonly limits: { readonly max_memory?: number; readonly max_storage?: number };
}

/** @see https://docs.nats.io/reference/reference-protocols/nats_api_reference#account-info */
interface AccountInfo extends Counted {
  /** Where limits are by the number of copies: `R1`, `R3`. */
  readonly tiers?: Readonly<Record<string, Counted>>;
}

/** Of the bytes that are free the queue may use, beside those that it reserves. */
export interface Room {
  /** Of one copy; undefined where only the server itself knows. */
  readonly callBytes?: number;
}

export interface Shortage {
  /** For people: what is needed, what there is, and what to do. */
  readonly message: string;
}

/** With less for calls that wait a queue is none. */
const MIN_CALL_BYTES = 16 * 1024 ** 2;

/** Whether an account has room for what is needed. */
export function decideRoom(
  { limitBytes, reservedBytes, ownBytes, copies }: AccountStorage,
  need: StorageNeed,
): Room | Shortage {
  if (limitBytes === undefined) return {};
  const others = reservedBytes - ownBytes;
  const left = Math.max(0, Math.floor((limitBytes - others) / copies));
  const reservable = Math.max(0, left - MIN_CALL_BYTES);
  if (need.reservedBytes > reservable) return reservationShortage(need, reservable, "its account has", "the account");
  const callBytes = left - need.reservedBytes;
  if (need.callBytes === undefined || need.callBytes <= callBytes) return { callBytes };
  const all = inWhole(need.callBytes + need.reservedBytes);
  return {
    message:
      `calls may take ${inWhole(need.callBytes)} (async_max_bytes) and its streams reserve ` +
      `${inWhole(need.reservedBytes)} (nats_reserved_bytes), ${all} of ${need.storage} storage in all, of which its ` +
      `account may still have ${inWhole(left)}; give the account more, or set async_max_bytes to at most ` +
      `${inWhole(callBytes)}`,
  };
}

/** @param left bytes of one copy */
function reservationShortage(
  { reservedBytes, storage, replicas }: StorageNeed,
  left: number,
  has: string,
  whom: string,
): Shortage {
  const copies = replicas > 1 ? ` on each of ${replicas} servers` : "";
  const less = left < MIN_RESERVED_BYTES ? "" : `, or set nats_reserved_bytes to at most ${inWhole(left)}`;
  return {
    message:
      `its streams reserve ${inWhole(reservedBytes)} of ${storage} storage${copies} (nats_reserved_bytes), ` +
      `of which ${has} ${inWhole(left)}; give ${whom} more${less}`,
  };
}

/** Rounded down, in a form that settings take. */
function inWhole(bytes: number): string {
  const mib = Math.floor(bytes / 1024 ** 2);
  return mib > 0 ? `${mib}Mi` : String(bytes);
}

/** @param own names of the streams that the queue itself reserves for */
export async function readAccount(
  link: Link,
  { storage, replicas }: Pick<StorageNeed, "storage" | "replicas">,
  own: readonly string[],
): Promise<AccountStorage> {
  const info = await link.api<AccountInfo>("INFO");
  const tier = info.tiers?.[`R${replicas}`];
  const counted = tier ?? info;
  const limit = storage === "file" ? counted.limits.max_storage : counted.limits.max_memory;
  const reserved = storage === "file" ? counted.reserved_storage : counted.reserved_memory;
  // Of an account with limits by the number of copies, those without are not its own.
  const limited = limit !== undefined && limit >= 0 && (tier !== undefined || info.tiers === undefined);
  const copies = tier ? 1 : replicas;
  const sizes = await Promise.all(own.map((stream) => reservedBy(link, stream, storage, tier !== undefined)));
  return {
    limitBytes: limited ? limit : undefined,
    reservedBytes: reserved ?? 0,
    ownBytes: sizes.reduce((sum, size) => sum + size, 0),
    copies,
  };
}

/** Bytes that a stream has reserved, 0 when there is none. */
async function reservedBy(link: Link, stream: string, storage: string, oneCopy: boolean): Promise<number> {
  try {
    const { config } = await link.api<StreamSize>(`STREAM.INFO.${stream}`);
    if (config.storage !== storage || config.max_bytes <= 0) return 0;
    return config.max_bytes * (oneCopy ? 1 : config.num_replicas);
  } catch (error) {
    if (isApiError(error, API_ERRORS.streamNotFound)) return 0;
    throw error;
  }
}

interface StreamSize {
  readonly config: { readonly storage: string; readonly max_bytes: number; readonly num_replicas: number };
}

/** Whether a server has refused to reserve as much. */
export function isShort(error: unknown): error is JetStreamError {
  if (isApiError(error, API_ERRORS.insufficientStorage, API_ERRORS.insufficientMemory)) return true;
  // A cluster says of its servers that none is suitable, and why.
  return error instanceof JetStreamError && /insufficient (storage|memory)/i.test(error.message);
}

/**
 * How much more a server lets a stream reserve. It tells nobody its limit, so this is found by trying; a stream that was
 * made for that is removed at once.
 * @returns bytes of one copy, up to `atMost`
 */
export async function findRoom(
  link: Link,
  { storage, replicas }: Pick<StorageNeed, "storage" | "replicas">,
  atMost: number,
): Promise<number> {
  const name = `FAASLANE_ROOM_${randomUUID()}`;
  const fits = async (bytes: number): Promise<boolean> => {
    const config = { name, subjects: [`FAASLANE.room.${name}`], storage, num_replicas: replicas, max_bytes: bytes };
    try {
      await link.api(`STREAM.CREATE.${name}`, config, PROBE_TIMEOUT_MS);
    } catch (error) {
      if (isShort(error)) return false;
      throw error;
    }
    await link.api(`STREAM.DELETE.${name}`, undefined, PROBE_TIMEOUT_MS);
    return true;
  };
  let [least, most] = [0, atMost];
  while (most - least > STEP_BYTES) {
    const middle = Math.floor((least + most) / 2);
    if (await fits(middle)) least = middle;
    else most = middle;
  }
  return least;
}

const PROBE_TIMEOUT_MS = 15_000;
const STEP_BYTES = 1024 ** 2;

/** What to say of a server that has refused to reserve as much. */
export async function explainShortage(link: Link, need: StorageNeed, own: readonly string[]): Promise<Shortage> {
  const { ownBytes, copies } = await readAccount(link, need, own);
  const kept = Math.floor(ownBytes / copies);
  const room = kept + (await findRoom(link, need, Math.max(0, need.reservedBytes + MIN_CALL_BYTES - kept)));
  const left = Math.max(0, room - MIN_CALL_BYTES);
  const limit = need.storage === "file" ? "max_file_store" : "max_memory_store";
  return reservationShortage(need, left, "the server has", `the server (its ${limit} or the disk)`);
}
