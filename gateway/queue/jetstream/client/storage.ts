import { API_ERRORS, isApiError, type Link } from "../../../nats/connection.ts";
import { MIN_RESERVED_BYTES } from "../../reserved-bytes.ts";
import { findRoom } from "./storage-probe.ts";

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
  /** Undefined where the account has no limit of its own. */
  readonly limitBytes: number | undefined;
  /** By all streams of the account, and of these by the queue's own. */
  readonly reservedBytes: number;
  readonly ownBytes: number;
  /** How often a stream counts. */
  readonly copies: number;
  readonly whose: "account" | "server";
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

export interface StorageShortage {
  /** For people: what is needed, what there is, and what to do. */
  readonly message: string;
}

/** With less for calls that wait a queue is none. */
export const MIN_CALL_BYTES = 16 * 1024 ** 2;

/** Whether an account has room for what is needed. */
export function decideRoom(
  { limitBytes, reservedBytes, ownBytes, copies, whose }: AccountStorage,
  need: StorageNeed,
): Room | StorageShortage {
  if (limitBytes === undefined) return {};
  const others = reservedBytes - ownBytes;
  const left = Math.max(0, Math.floor((limitBytes - others) / copies));
  const reservable = Math.max(0, left - Math.min(MIN_CALL_BYTES, need.callBytes ?? MIN_CALL_BYTES));
  if (need.reservedBytes > reservable) return reservationShortage(need, reservable, whose);
  const callBytes = left - need.reservedBytes;
  if (need.callBytes === undefined || need.callBytes <= callBytes) return { callBytes };
  return {
    message:
      `calls may take ${inWhole(need.callBytes)} (async_max_bytes) and its streams reserve ` +
      `${inWhole(need.reservedBytes)} (nats_reserved_bytes), ${inWhole(need.callBytes + need.reservedBytes)} of ` +
      `${need.storage} storage in all, of which ${HAS[whose]} ${inWhole(left)}; give ${GIVE[whose](need)} more, or set ` +
      `async_max_bytes to at most ${inWhole(callBytes)}`,
  };
}

const HAS = { account: "its account has", server: "the server has" } as const;
const GIVE = {
  account: () => "the account",
  server: ({ storage }: Pick<StorageNeed, "storage">) =>
    `the server (its ${storage === "file" ? "max_file_store or the disk" : "max_memory_store"})`,
} as const;

/** @param left bytes of one copy */
function reservationShortage(need: StorageNeed, left: number, whose: AccountStorage["whose"]): StorageShortage {
  const { reservedBytes, storage, replicas } = need;
  const copies = replicas > 1 ? ` on each of ${replicas} servers` : "";
  const less = left < MIN_RESERVED_BYTES ? "" : `, or set nats_reserved_bytes to at most ${inWhole(left)}`;
  return {
    message:
      `its streams reserve ${inWhole(reservedBytes)} of ${storage} storage${copies} (nats_reserved_bytes), ` +
      `of which ${HAS[whose]} ${inWhole(left)}; give ${GIVE[whose](need)} more${less}`,
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
    whose: "account",
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

/** Other processes may make the queue's streams meanwhile. */
const MAX_LOOKS = 5;

/**
 * What a server lets the queue's streams reserve, as if it were an account's limit.
 * @param own names of the streams that the queue itself reserves for
 * @param callBytes room for calls that is wanted, of one copy
 */
export async function readServer(
  link: Link,
  need: StorageNeed,
  own: readonly string[],
  callBytes: number,
): Promise<AccountStorage> {
  const keptNow = async () => {
    const { ownBytes, copies } = await readAccount(link, need, own);
    return Math.floor(ownBytes / copies);
  };
  for (let look = 1; ; look++) {
    const kept = await keptNow();
    const room = await findRoom(link, need, Math.max(0, need.reservedBytes - kept) + callBytes);
    if (look < MAX_LOOKS && (await keptNow()) !== kept) continue;
    return { limitBytes: kept + room, reservedBytes: kept, ownBytes: kept, copies: 1, whose: "server" };
  }
}
